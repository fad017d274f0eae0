// Package vocabulary is the list of generic actions: what a playbook may write
// behind `uses`, whichever vendor serves it. Each entry fixes the action's
// inputs, outputs, effect class, read-back, reversal, inverse and targets, and
// relates it to RE&CT, D3FEND and OpenC2.
//
// The compiler checks playbooks against it. A connector's manifest starts from
// [Lookup] and sets what its vendor decides: deadline, settle time, permissions,
// and a weaker class or read-back where the vendor cannot keep the generic one.
// Names, types and targets stay as they stand here, because plans rely on them.
//
// How an inverse is called: the action named in Inverse, with those of the
// original's inputs that the inverse declares, and with Request.Prior set to the
// prior state that the original returned. It restores what was found: where
// Prior says that the state was there before us, it changes nothing and answers
// Already.
//
// Tags are written react.RA3302, d3fend.D3-CQ and
// openc2.contain.file. A tilde, as in react.~RA3109, marks the nearest entry
// where none fits exactly; x-quell is OpenC2's place for targets that it lacks.
package vocabulary
