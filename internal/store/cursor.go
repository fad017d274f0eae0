package store

import (
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
)

// ErrCursor says that a cursor is not one of ours.
var ErrCursor = errors.New("the cursor is not one that a page gave; start without one")

// Cursor names the place in a list that is sorted by time and id, for who asks
// for the page after it.
func Cursor(at int64, id string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(at, 10) + " " + id))
}

// ReadCursor is the inverse of Cursor. The error is ErrCursor.
func ReadCursor(c string) (at int64, id string, err error) {
	raw, err := base64.RawURLEncoding.DecodeString(c)
	if err != nil {
		return 0, "", ErrCursor
	}
	head, id, ok := strings.Cut(string(raw), " ")
	at, err = strconv.ParseInt(head, 10, 64)
	if !ok || err != nil {
		return 0, "", ErrCursor
	}
	return at, id, nil
}
