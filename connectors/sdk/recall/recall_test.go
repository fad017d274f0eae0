package recall_test

import (
	"fmt"
	"regexp"
	"testing"

	"github.com/quell-soar/quell/connectors/sdk/recall"
)

func TestMark(t *testing.T) {
	first, again, other := recall.Mark("a"), recall.Mark("a"), recall.Mark("b")
	if first != again || first == other {
		t.Error("a mark is not one to one with its key")
	}
	if !regexp.MustCompile(`^quell-[0-9a-f]{24}$`).MatchString(recall.Mark("tenant/run \" '")) {
		t.Error("a mark has characters that a query might read")
	}
}

func TestBookKeepsTheFirstAndForgetsTheOldest(t *testing.T) {
	b := recall.NewBook[int](3)
	for i := range 4 {
		b.First(fmt.Sprint(i), i)
	}
	if got := b.First("3", 99); got != 3 {
		t.Errorf("the first value was replaced by %d", got)
	}
	if _, ok := b.Get("0"); ok {
		t.Error("the oldest entry is still there")
	}
	if v, ok := b.Get("1"); !ok || v != 1 {
		t.Error("an entry within the size was forgotten")
	}
	b.Forget("1")
	if got := b.First("1", 7); got != 7 {
		t.Errorf("a forgotten entry came back as %d", got)
	}
}
