package app

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/quell-soar/quell/playbooks/diag"
	"github.com/quell-soar/quell/playbooks/format"
	"github.com/quell-soar/quell/playbooks/source"
)

// layouts are the flags of quell fmt.
type layouts struct{ write, diff, list bool }

func (c *cli) fmtCommand() *cobra.Command {
	var o layouts
	cmd := &cobra.Command{
		Use: "fmt [-w|-d|-l] PATH…", Short: "Lay out playbooks",
		Long: "Write playbooks in their one layout to standard output. The plan, the comments and\n" +
			"the order of steps stay; phases are put into their order. Of a folder, every .yaml\n" +
			"file that says `quell:` is taken. - reads standard input. With -d or -l the exit\n" +
			"code is 1 where a file is laid out differently.",
		Args: cobra.ArbitraryArgs,
		RunE: func(_ *cobra.Command, args []string) error { return c.format(o, args) },
	}
	f := cmd.Flags()
	f.BoolVarP(&o.write, "write", "w", false, "write the files anew")
	f.BoolVarP(&o.diff, "diff", "d", false, "print what would change")
	f.BoolVarP(&o.list, "list", "l", false, "print the names of the files that would change")
	return cmd
}

func (c *cli) format(o layouts, args []string) error {
	if len(args) == 0 {
		return usage("fmt needs a PATH; see quell fmt --help")
	}
	files, err := playbooksIn(args)
	if err != nil {
		return usage("%v", err)
	}
	if len(files) > 1 && !o.write && !o.diff && !o.list {
		return usage("fmt prints one file; of several use -w, -d or -l")
	}
	changed, failed := false, false
	var told diag.List
	for _, name := range files {
		raw, err := c.readFile(name, maxPlaybook)
		if err != nil {
			return err
		}
		out, list, err := format.Playbook(source.NewFile(clean(name), raw))
		if err != nil {
			return fmt.Errorf("%s: %w", clean(name), err)
		}
		if list.HasErrors() {
			told, failed = append(told, list...), true
			continue
		}
		changed = changed || string(raw) != string(out)
		if err := c.laidOut(o, name, string(raw), string(out)); err != nil {
			return err
		}
	}
	if err := diag.Render(c.err, told); err != nil {
		return err
	}
	if failed || (changed && !o.write && (o.diff || o.list)) {
		return quiet(ExitFailed)
	}
	return nil
}

// laidOut does with one file's layout what the flags say.
func (c *cli) laidOut(o layouts, name, raw, out string) error {
	if !o.write && !o.diff && !o.list {
		_, err := fmt.Fprint(c.out, out)
		return err
	}
	if raw == out {
		return nil
	}
	if o.list {
		c.say("%s", clean(name))
	}
	if o.diff {
		c.say("%s", strings.TrimRight(lineDiff(clean(name), raw, out), "\n"))
	}
	if !o.write {
		return nil
	}
	if name == "-" {
		return usage("standard input cannot be written; leave -w out")
	}
	if err := replaceFile(name, []byte(out)); err != nil {
		return fmt.Errorf("write %s: %w", clean(name), err)
	}
	return nil
}

// playbooksIn lists the files that paths name: of a folder, the playbooks in
// it.
func playbooksIn(paths []string) ([]string, error) {
	var out []string
	for _, path := range paths {
		info, err := os.Stat(path)
		if path == "-" || (err == nil && !info.IsDir()) {
			out = append(out, path)
			continue
		}
		if err != nil {
			return nil, err
		}
		err = filepath.WalkDir(path, func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(name) != ".yaml" {
				return err
			}
			raw, err := os.ReadFile(name) //nolint:gosec // the caller names the folder
			if err == nil && (strings.HasPrefix(string(raw), "quell:") || strings.Contains(string(raw), "\nquell:")) {
				out = append(out, name)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// replaceFile writes a file anew in one step, with the rights it had.
func replaceFile(name string, text []byte) (err error) {
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	if link, err := filepath.EvalSymlinks(name); err == nil {
		name = link
	}
	tmp, err := os.CreateTemp(filepath.Dir(name), ".fmt-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(tmp.Name())
		}
	}()
	_, err = tmp.Write(text)
	err = errors.Join(err, tmp.Chmod(info.Mode().Perm()), tmp.Close())
	if err != nil {
		return err
	}
	return os.Rename(tmp.Name(), name)
}
