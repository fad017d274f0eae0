//go:build !linux

package launch

import "os"

// seal copies the binary to where only we may write.
func seal(src *os.File, dir string) (*image, error) { return sealByCopy(src, dir) }
