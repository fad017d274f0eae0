package asset

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/quell-soar/quell/connectors/sdk"
	"github.com/quell-soar/quell/connectors/spec/kind"
)

// maxFile is the largest file that is read.
const maxFile = 64 << 20

// index are a file's entries by sort and folded name; an entry stands under each
// of its names.
type index map[string]map[string][]item

// file is an inventory in a CSV file, read again when it has changed.
type file struct {
	path string

	mu    sync.Mutex
	seen  stamp
	index index
	// bad is why the file as it is now cannot be used; the index is the last good
	// one.
	bad error
}

// stamp tells one state of a file from another.
type stamp struct {
	at   time.Time
	size int64
}

var _ source = (*file)(nil)

func openFile(path string) (*file, error) {
	f := &file{path: path}
	if _, err := f.current(); err != nil {
		return nil, err
	}
	return f, nil
}

// current returns the entries, read anew where the file has changed. The error
// says that they are not those of now.
func (f *file) current() (index, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	info, err := os.Stat(f.path)
	if err != nil {
		f.bad = fmt.Errorf("inventory %s: %w; see that it is there and in the instance's reads", f.path, errors.Unwrap(err))
		return f.index, f.bad
	}
	now := stamp{info.ModTime(), info.Size()}
	if now == f.seen {
		return f.index, f.bad
	}
	read, err := load(f.path)
	f.seen, f.bad = now, err
	if err == nil {
		f.index = read
	}
	return f.index, f.bad
}

func load(path string) (index, error) {
	in, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("inventory %s: %w", path, errors.Unwrap(err))
	}
	defer func() { _ = in.Close() }() // it was only read
	raw, err := io.ReadAll(io.LimitReader(in, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("inventory %s: %w", path, err)
	}
	if len(raw) > maxFile {
		return nil, fmt.Errorf("inventory %s: larger than %d bytes", path, maxFile)
	}
	out, err := parse(raw)
	if err != nil {
		return nil, fmt.Errorf("inventory %s, %w", path, err)
	}
	return out, nil
}

// columns are those that a file may have.
var columns = []string{"kind", "name", "aliases", "criticality", "owner", "tags", "vip"}

// parse reads a whole file or nothing of it. Errors name the line.
func parse(raw []byte) (index, error) {
	r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf"))))
	r.TrimLeadingSpace, r.Comment = true, '#'
	head, err := r.Read()
	if err != nil {
		return nil, fmt.Errorf("line 1: %w; the first line names the columns", err)
	}
	at, err := header(head)
	if err != nil {
		return nil, fmt.Errorf("line 1: %w", err)
	}
	out := index{hosts: {}, users: {}}
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			var p *csv.ParseError
			if errors.As(err, &p) {
				return nil, fmt.Errorf("line %d: %w", p.Line, p.Err)
			}
			return nil, err
		}
		if err := out.add(at, row); err != nil {
			line, _ := r.FieldPos(0)
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
	}
}

// header tells where each column stands.
func header(names []string) (map[string]int, error) {
	at := map[string]int{}
	for i, name := range names {
		name = fold(name)
		known := false
		for _, c := range columns {
			known = known || c == name
		}
		if _, twice := at[name]; twice || !known {
			return nil, fmt.Errorf("column %q is not known or stands twice; there are %s", name, strings.Join(columns, ", "))
		}
		at[name] = i
	}
	for _, needed := range columns[:2] {
		if _, ok := at[needed]; !ok {
			return nil, fmt.Errorf("the column %s is missing", needed)
		}
	}
	return at, nil
}

func (x index) add(at map[string]int, row []string) error {
	get := func(column string) string {
		if i, ok := at[column]; ok {
			return strings.TrimSpace(row[i])
		}
		return ""
	}
	for _, cell := range row {
		if err := kind.Check(kind.Of(kind.String), cell); err != nil {
			return err
		}
	}
	sort, ok := map[string]string{"host": hosts, "user": users}[fold(get("kind"))]
	if !ok {
		return fmt.Errorf("kind %q is neither host nor user", get("kind"))
	}
	i := item{Name: get("name"), Criticality: get("criticality"), Owner: get("owner"), Aliases: split(get("aliases")), Tags: split(get("tags"))}
	if fold(i.Name) == "" {
		return fmt.Errorf("the name is empty")
	}
	if c := fold(i.Criticality); c != "" && kind.Of(kind.Criticality).Rank(c) < 0 {
		return fmt.Errorf("criticality %q is none of low, medium, high, critical; leave it empty where nobody knows, which counts as high", c)
	}
	switch fold(get("vip")) {
	case "", "no", "false", "0":
	case "yes", "true", "1":
		i.VIP = true
	default:
		return fmt.Errorf("vip %q is neither yes nor no", get("vip"))
	}
	under := map[string]bool{}
	for _, name := range append([]string{i.Name}, i.Aliases...) {
		if name = fold(name); name != "" && !under[name] {
			under[name] = true
			x[sort][name] = append(x[sort][name], i)
		}
	}
	return nil
}

func split(list string) []string {
	if list == "" {
		return nil
	}
	return strings.Split(list, ";")
}

func (f *file) find(_ context.Context, sort, name string) ([]item, error) {
	entries, _ := f.current() // an index that is a little old is better than none
	return entries[sort][fold(name)], nil
}

func (f *file) check(context.Context) sdk.Finding {
	entries, err := f.current()
	if err != nil {
		return sdk.Finding{Name: "inventory", Advice: err.Error() + "; the last good state is used"}
	}
	return sdk.Finding{Name: "inventory", OK: true, Advice: fmt.Sprintf("%d names of hosts and %d of users", len(entries[hosts]), len(entries[users]))}
}

func (f *file) close() {}
