package compile

func (u *unit) safety() {}
