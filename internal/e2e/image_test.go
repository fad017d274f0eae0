package e2e

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// inImage runs a program in the file system of an image, as `docker run --read-only`
// does: $1 its root, $2 a directory of the machine that is mounted in it, $3 the user,
// $4 the entry point; $5 is what would be run without an image, the rest are its
// arguments. Settings of the environment are in $IMAGE_ENV.
const inImage = `set -e
root=$1 dir=$2 user=$3 entry=$4; shift 5
mount --bind "$root" "$root"
mount -t tmpfs -o mode=0700,uid="${user%:*}",gid="${user#*:}" tmpfs "$root/tmp"
mkdir -p "$root$dir"
mount --bind "$dir" "$root$dir"
mount --rbind /proc "$root/proc"
mount -t tmpfs -o mode=0755 tmpfs "$root/dev"
for d in null zero random urandom; do touch "$root/dev/$d"; mount --bind "/dev/$d" "$root/dev/$d"; done
mount -o remount,bind,ro "$root"
exec env -i $IMAGE_ENV "$(command -v chroot)" --userspec="$user" --groups= "$root" "$entry" "$@"
`

// dockerfile is what the last stage of the Dockerfile says.
type dockerfile struct {
	copies           []copied
	env              []string
	user, entry      string
	passwd, workDirs string
}

type copied struct {
	from  []string
	to    string
	owner bool
}

// readDockerfile reads the instructions that we use, and fails on others.
func readDockerfile(t *testing.T) dockerfile {
	t.Helper()
	raw, err := os.ReadFile("../../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(raw), "\\\n", " ")
	first, last, ok := strings.Cut(text, "FROM scratch\n")
	passwd := regexp.MustCompile(`echo '([^']+)' > /out/passwd`).FindStringSubmatch(first)
	dirs := regexp.MustCompile(`install -d -m 0700 -o 65532 -g 65532 ([^&]+) &&`).FindStringSubmatch(first)
	if !ok || passwd == nil || dirs == nil {
		t.Fatal("the Dockerfile is not as this test knows it")
	}
	d := dockerfile{passwd: passwd[1], workDirs: dirs[1]}
	for line := range strings.Lines(last) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch args := strings.Fields(rest); word {
		case "COPY":
			c := copied{owner: slices.Contains(args, "--chown=65532:65532")}
			args = slices.DeleteFunc(args, func(a string) bool { return strings.HasPrefix(a, "--") })
			c.from, c.to = args[:len(args)-1], args[len(args)-1]
			d.copies = append(d.copies, c)
		case "ENV":
			d.env = append(d.env, args...)
		case "USER":
			d.user = rest
		case "ENTRYPOINT":
			d.entry = strings.Trim(rest, `[]"`)
		case "", "#", "VOLUME", "STOPSIGNAL", "CMD":
		default:
			t.Fatalf("this test does not know %s", word)
		}
	}
	return d
}

// build makes the root of the image, with our own programs as those of its build.
func (d dockerfile) build(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	if err := os.Chmod(filepath.Dir(root), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"proc", "dev"} { // what a container runtime adds
		if err := os.Mkdir(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range d.copies {
		for _, from := range c.from {
			to := filepath.Join(root, c.to)
			if strings.HasSuffix(c.to, "/") {
				to = filepath.Join(to, filepath.Base(from))
			}
			if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
				t.Fatal(err)
			}
			d.put(t, from, to)
			if c.owner {
				if err := os.Chown(to, 65532, 65532); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	return root
}

// put makes one file or directory of the image.
func (d dockerfile) put(t *testing.T, from, to string) {
	t.Helper()
	var err error
	switch {
	case slices.Contains(strings.Fields(d.workDirs), from):
		err = os.Mkdir(to, 0o700)
	case from == "/out/passwd":
		err = os.WriteFile(to, []byte(d.passwd+"\n"), 0o644)
	case strings.HasPrefix(from, "/out/"):
		err = exec.Command("cp", bin(t, filepath.Base(from)), to).Run()
	default:
		err = exec.Command("cp", from, to).Run()
	}
	if err != nil {
		t.Fatalf("%s in the image: %v", to, err)
	}
}

// TestImage serves from the file system that the Dockerfile makes, not root and its
// files read-only, with a directory of the machine for configuration and data: a host
// is isolated and released by connectors from the image, and a stop in order ends it.
func TestImage(t *testing.T) {
	integration(t)
	if out, err := exec.Command("unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt").CombinedOutput(); err != nil {
		t.Skipf("no file systems can be mounted here: %v %s", err, out)
	}
	if _, err := os.Stat("/etc/ssl/certs/ca-certificates.crt"); err != nil {
		t.Skipf("the build's certificates are not on this machine: %v", err)
	}
	d := readDockerfile(t)
	root := d.build(t)
	l := startLab(t)
	l.hostsOf(1)
	h := newHouse(t, l, "")
	h.config = regexp.MustCompile(`(?m)^    binary: .*\n`).ReplaceAllString(h.config, "")
	h.write("quell.yaml", h.config)
	owned(t, h.dir)
	h.env = []string{"IMAGE_ENV=" + strings.Join(d.env, " ")}
	h.under = []string{"unshare", "--mount", "sh", "-c", inImage, "image", root, h.dir, d.user, d.entry}
	h.start()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go h.approveAll(ctx)
	if _, err := h.alert("in-image", hostname(1)); err != nil {
		t.Fatal(err)
	}
	list := h.ended(1, time.Minute)
	if list[0].Closing != "completed" || l.count("contain", hostname(1)) != 1 || l.count("lift", hostname(1)) != 1 {
		t.Errorf("%s closed %s; %d isolated, %d released", list[0].ID, list[0].Closing, l.count("contain", hostname(1)), l.count("lift", hostname(1)))
	}
	for _, pid := range append(children(h.cmd.Process.Pid), h.cmd.Process.Pid) {
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{`(?m)^Uid:\s+65532\s+65532\s`, `(?m)^CapEff:\s+0+$`} {
			if !regexp.MustCompile(want).Match(raw) {
				t.Errorf("process %d is not as %s:\n%s", pid, want, raw)
			}
		}
	}
	h.auditOK()
	h.stop()
	if h.cmd.ProcessState.ExitCode() != 0 {
		t.Errorf("it ended with %s", h.cmd.ProcessState)
	}
}

// owned gives all of a directory to the image's user.
func owned(t *testing.T, dir string) {
	t.Helper()
	for up := dir; strings.HasPrefix(up, os.TempDir()+"/"); up = filepath.Dir(up) {
		if err := os.Chmod(up, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chown(path, 65532, 65532)
	})
	if err != nil {
		t.Fatal(err)
	}
}
