// Package labdata is a connector that answers from its own settings: an asset
// inventory and a threat intelligence source for labs and first steps. It calls
// nobody and changes nothing, and is a real connector process all the same.
package labdata
