package registry

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"golang.org/x/crypto/ssh"
)

// signed says which of the listed keys signed a commit. Without listed keys
// nothing is asked.
func (g *Git) signed(c *object.Commit) (string, error) {
	if len(g.Signers) == 0 {
		return "", nil
	}
	if c.PGPSignature == "" {
		return "", errors.New("it is not signed, and git.signers wants that")
	}
	for _, file := range g.Signers {
		raw, err := os.ReadFile(file)
		if err != nil {
			return "", fmt.Errorf("git.signers: %w", err)
		}
		who, err := signedBy(c, raw)
		if err != nil {
			return "", err
		}
		if who != "" {
			return who, nil
		}
	}
	return "", errors.New("none of the keys of git.signers signed it")
}

// signedBy gives the key of a file that signed a commit, or "".
func signedBy(c *object.Commit, keys []byte) (string, error) {
	overSSH := strings.HasPrefix(c.PGPSignature, "-----BEGIN SSH SIGNATURE-----")
	if bytes.Contains(keys, []byte("BEGIN PGP PUBLIC KEY BLOCK")) {
		if overSSH {
			return "", nil
		}
		entity, err := c.Verify(string(keys))
		if err != nil {
			return "", nil //nolint:nilerr // not this key
		}
		return "pgp:" + entity.PrimaryKey.KeyIdString(), nil
	}
	if !overSSH {
		return "", nil
	}
	message, err := unsigned(c)
	if err != nil {
		return "", err
	}
	key, err := sshSigner([]byte(c.PGPSignature), message)
	if err != nil {
		return "", err
	}
	for line := range bytes.Lines(keys) {
		// A line is TYPE KEY, or as in allowed_signers WHO TYPE KEY.
		listed, _, _, _, err := ssh.ParseAuthorizedKey(line)
		if err == nil && bytes.Equal(listed.Marshal(), key.Marshal()) {
			return "ssh:" + ssh.FingerprintSHA256(key), nil
		}
	}
	return "", nil
}

// unsigned are the bytes of a commit that its signature is over.
func unsigned(c *object.Commit) ([]byte, error) {
	o := &plumbing.MemoryObject{}
	if err := c.EncodeWithoutSignature(o); err != nil {
		return nil, err
	}
	r, err := o.Reader()
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// sshMagic begins what SSH signs (OpenSSH's PROTOCOL.sshsig).
const sshMagic = "SSHSIG"

// sshSigner gives the key that made an SSH signature over a message, for git.
func sshSigner(armored, message []byte) (ssh.PublicKey, error) {
	bad := errors.New("its signature does not hold")
	block, _ := pem.Decode(armored)
	if block == nil || !bytes.HasPrefix(block.Bytes, []byte(sshMagic)) {
		return nil, bad
	}
	var sig struct {
		Version                                 uint32
		Key                                     []byte
		Namespace, Reserved, HashAlgorithm, Sig string
	}
	if err := ssh.Unmarshal(block.Bytes[len(sshMagic):], &sig); err != nil || sig.Version != 1 || sig.Namespace != "git" {
		return nil, bad
	}
	var digest []byte
	switch sig.HashAlgorithm {
	case "sha256":
		d := sha256.Sum256(message)
		digest = d[:]
	case "sha512":
		d := sha512.Sum512(message)
		digest = d[:]
	default:
		return nil, bad
	}
	key, err := ssh.ParsePublicKey(sig.Key)
	if err != nil {
		return nil, bad
	}
	var s ssh.Signature
	if err := ssh.Unmarshal([]byte(sig.Sig), &s); err != nil || s.Format == ssh.KeyAlgoRSA { // RSA with SHA-1
		return nil, bad
	}
	over := append([]byte(sshMagic), ssh.Marshal(struct {
		Namespace, Reserved, HashAlgorithm string
		Digest                             []byte
	}{sig.Namespace, sig.Reserved, sig.HashAlgorithm, digest})...)
	if err := key.Verify(over, &s); err != nil {
		return nil, bad
	}
	return key, nil
}
