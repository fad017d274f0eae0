package plan

// Meaning is the digest of what a plan does: that of its canonical bytes with
// every line and column taken as 0. Two texts that differ in layout and comments
// only have the same meaning. It identifies no plan: runs, approvals and the
// ledger name Digest.
func (p *Plan) Meaning() (string, error) {
	raw, err := p.Encode()
	if err != nil {
		return "", err
	}
	bare, err := Decode(raw) // a copy
	if err != nil {
		return "", err
	}
	for i := range bare.Exprs {
		bare.Exprs[i].Line, bare.Exprs[i].Column = 0, 0
	}
	for i := range bare.Phases {
		unplaced(bare.Phases[i].Steps)
	}
	return bare.Digest()
}

func unplaced(steps []Step) {
	for i := range steps {
		steps[i].Line = 0
		for _, inside := range steps[i].Inside() {
			unplaced(inside)
		}
	}
}
