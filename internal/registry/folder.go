package registry

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// The most that is taken from a source.
const (
	MaxFile  = 1 << 20
	MaxFiles = 2000
)

// ReadFolder reads the playbooks of files and directories, with the tests beside
// them; directories below are not entered, and links and devices not read. A file
// that cannot be read has a fault; an error is that a path is not there.
func ReadFolder(paths []string) ([]Text, error) {
	var out []Text
	for _, p := range paths {
		st, err := os.Stat(p)
		if err != nil {
			return nil, fmt.Errorf("playbooks: %w", err)
		}
		files := []string{p}
		if st.IsDir() {
			if files, err = playbooksIn(p); err != nil {
				return nil, fmt.Errorf("playbooks: %w", err)
			}
		}
		for _, f := range files {
			out = append(out, read(f))
		}
	}
	if len(out) > MaxFiles {
		return nil, fmt.Errorf("playbooks: there are %d, more than %d", len(out), MaxFiles)
	}
	slices.SortFunc(out, func(a, b Text) int { return strings.Compare(a.File, b.File) })
	return slices.CompactFunc(out, func(a, b Text) bool { return a.File == b.File }), nil
}

// read reads a playbook with the tests beside it.
func read(file string) Text {
	t := Text{File: file}
	var err error
	if t.Body, err = readFile(file); err == nil {
		t.Tests, err = readFile(strings.TrimSuffix(file, filepath.Ext(file)) + TestSuffix)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Text{File: file, Fault: err.Error()}
	}
	if t.Body == nil { // gone since the folder was read
		t.Fault = "it cannot be read: " + err.Error()
	}
	return t
}

func playbooksIn(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	var out []string
	for _, e := range entries {
		if e.Type()&fs.ModeType == 0 && IsPlaybook(e.Name()) {
			out = append(out, filepath.Join(dir, e.Name()))
		}
	}
	return out, err
}

// IsPlaybook reports whether a file of this name is a playbook's.
func IsPlaybook(name string) bool {
	ext := filepath.Ext(name)
	return (ext == ".yaml" || ext == ".yml") && !strings.HasSuffix(name, TestSuffix) && !strings.HasPrefix(name, ".")
}

func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		return nil, errors.Join(err, fmt.Errorf("%s is no file", name))
	}
	raw, err := io.ReadAll(io.LimitReader(f, MaxFile+1))
	if err == nil && len(raw) > MaxFile {
		err = fmt.Errorf("%s is longer than %d bytes", name, MaxFile)
	}
	return raw, err
}
