package secret

// Value is one secret. The zero Value is an empty secret.
type Value struct{ text string }

// Mark is what stands where a secret would have been printed.
const Mark = "[secret]"

// New wraps text.
func New(text string) Value { return Value{text: text} }

// Reveal returns the secret itself. Call it where the request is built, and
// keep the result in no struct.
func (v Value) Reveal() string { return v.text }

// Empty reports whether there is no secret.
func (v Value) Empty() bool { return v.text == "" }

// String returns Mark; so do the other ways of printing.
func (v Value) String() string { return Mark }

// GoString returns Mark.
func (v Value) GoString() string { return Mark }

// MarshalText returns Mark.
func (v Value) MarshalText() ([]byte, error) { return []byte(Mark), nil }
