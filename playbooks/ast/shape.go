package ast

import "slices"

// Form says what may stand at a place of a playbook.
type Form int

// The forms.
const (
	// Word is a scalar without expressions: a name, a duration, a number.
	Word Form = iota
	// Template is a text in which ${{ … }} may stand.
	Template
	// Expression is bare CEL.
	Expression
	// Any is a value: a template, or a list or a map of values.
	Any
	// Words is one scalar or a list of them; Expressions the same in bare CEL.
	Words
	Expressions
	// Object is a map with the keys in Keys.
	Object
	// Open is a map whose keys the author chose; each value has the shape Each.
	Open
	// List is a list of Each.
	List
	// Steps is a list of steps; a step's keys are Modifiers, one of Kinds and
	// that kind's BodyKeys.
	Steps
)

// Shape is what may stand at one place. It says less than the compiler: which
// keys and words there are, not what they mean together.
type Shape struct {
	Form Form
	// Keys are an Object's, in the order in which they are best written.
	Keys []Key
	Each *Shape
	// Of are the words that a Word can be; nil where they are not a closed set.
	Of []string
	// Hint is the pattern of a Word, or of an Open's keys, that has one: duration,
	// count, id, name, type, action.
	Hint string
}

// Key is one key of an Object.
type Key struct {
	Name     string
	Required bool
	// Doc is one line for completion and hover.
	Doc   string
	Shape *Shape
}

// Key returns the key of a name.
func (s *Shape) Key(name string) (Key, bool) {
	i := slices.IndexFunc(s.Keys, func(k Key) bool { return k.Name == name })
	if i < 0 {
		return Key{}, false
	}
	return s.Keys[i], true
}

func word(hint string, of ...string) *Shape { return &Shape{Hint: hint, Of: of} }

func object(keys ...Key) *Shape { return &Shape{Form: Object, Keys: keys} }

func open(each *Shape) *Shape { return &Shape{Form: Open, Each: each} }

func listOf(each *Shape) *Shape { return &Shape{Form: List, Each: each} }

func need(name, doc string, s *Shape) Key { return Key{Name: name, Doc: doc, Shape: s, Required: true} }

func may(name, doc string, s *Shape) Key { return Key{Name: name, Doc: doc, Shape: s} }

var (
	anyWord     = word("")
	duration    = word("duration")
	count       = word("count")
	id          = word("id")
	template    = &Shape{Form: Template}
	expression  = &Shape{Form: Expression}
	words       = &Shape{Form: Words}
	expressions = &Shape{Form: Expressions}
	anything    = &Shape{Form: Any}
	values      = open(anything)
	steps       = &Shape{Form: Steps}
	late        = word("", "ask", "fail", "continue")
	chain       = listOf(object(
		need("who", "Roles, or oncall.NAME: any of them may answer", words),
		need("within", "How long they have until the next rung is asked", duration),
	))
)

// PlaybookShape is the shape of a whole file.
func PlaybookShape() *Shape {
	input := object(
		need("type", "The type of the value", word("type")), may("of", "The names of a choice", words),
		may("ask", "The question put to a person who launches by hand", template),
		may("max", "The longest length of the list or text", count), may("pattern", "RE2 that the whole text must match", anyWord),
		may("default", "The value where none is given; without one the input is required", anything),
	)
	setting := object(
		need("type", "The type of the value", word("type")), may("of", "The names of a choice", words),
		may("default", "The value where the installation gives none", anything),
	)
	return object(
		need("quell", "The version of the language", word("", "1")),
		need("playbook", "The playbook's name", word("name")),
		may("title", "What it does, in one line", anyWord), may("description", "What it is for", anyWord),
		may("owner", "Who answers for it", anyWord), may("tags", "ATT&CK and RE&CT ids, and your own", words),
		may("inputs", "What a run is given", open(input)),
		may("settings", "Constants whose values come from the installation", open(setting)),
		may("on", "What starts a run", triggers()),
		may("limits", "Per action, how many targets one run may act on", &Shape{Form: Open, Each: count, Hint: "action"}),
		may("triage", "Find out what happened", steps), may("contain", "Keep it from spreading", steps),
		may("eradicate", "Remove it", steps), may("recover", "Go back to normal", steps),
		may("review", "Runs whatever happened before", steps),
		may("outputs", "What a caller gets", values),
	)
}

func triggers() *Shape {
	return object(
		may("alert", "Alerts that start a run", listOf(object(
			need("from", "The sources; any needs a reason", words), may("reason", "Why from is any", anyWord),
			may("when", "Which alerts; it sees alert", expression),
			may("inputs", "The run's inputs, made of the alert", values),
			need("once_per", "What a run is about: one live run per value", expressions),
			may("quiet", "How long after a run's end the same value starts no new one", duration),
			may("incident", "What the run belongs to: run.incident", expression),
		))),
		may("manual", "People who may start a run by hand", object(may("roles", "The roles that may", words))),
		may("schedule", "Times at which a run starts", object(
			need("cron", "minute hour day month weekday", anyWord), need("zone", "A name of the IANA database", anyWord),
			may("overlap", "What happens where the last run still goes", word("", "skip", "queue", "allow")),
			may("inputs", "The run's inputs", values),
		)),
	)
}

// StepShape is the shape of a step of a kind, its keys in the order in which
// they are best written: what it is called, when and how often it runs, what it
// does, what follows from that. A block's steps stand last. It is nil for what
// is no kind.
func StepShape(kind string) *Shape {
	body := bodyShape(kind)
	if body == nil {
		return nil
	}
	before, after := modifierShapes()
	keys := before
	switch kind {
	case "do", "parallel", "switch":
		return object(slices.Concat(keys, after, body)...)
	}
	return object(slices.Concat(keys, body, after)...)
}

// modifierShapes are the modifiers: those that stand before what a step does,
// and those behind it.
func modifierShapes() (before, after []Key) {
	before = []Key{
		may("id", "The name under which expressions read the result", id), may("title", "What people read", template),
		may("phase", "What the step counts as", word("", "triage", "contain", "eradicate", "recover", "review")),
		may("if", "Run the step only where this holds", expression),
		may("foreach", "NAME in LIST: once per element", expression),
		may("at_once", "How many elements at a time", count),
		may("on_item_error", "What a failed element does", word("", "fail", "continue")),
		may("repeat", "Rounds of the block, until something holds", object(
			need("until", "What ends it; it reads a result made inside, or now", expression), need("every", "The time between rounds", duration),
			may("within", "The time for all rounds", duration), may("max", "The number of rounds", count),
			may("late", "What happens where the time is over", late),
		)),
	}
	after = []Key{
		may("approve", "Ask people before the effects of the step", object(
			may("when", "Ask only where this holds", expression), need("ask", "The question", template),
			need("from", "Whom, in order", chain), may("quorum", "How many must agree", count),
			may("denied", "What a no does", word("", "stop", "skip", "fail")),
			may("silent", "What silence does", word("", "skip", "stop", "fail", "act")),
		)),
		may("timeout", "Bounds the step with its retries, without the time spent waiting for people", duration),
		may("retry", "Bounds the attempts", object(may("attempts", "How many", count), may("wait", "The time between them", duration))),
		may("on_error", "What a failure does", word("", "fail", "continue", "ask", "skip")),
		may("hold", "Keep the effect for a time", object(
			need("for", "How long", duration), may("then", "What happens then", word("", "ask", "keep", "release")),
		)),
		may("undo_with", "Takes the effect back where its action has no inverse", object(
			need("uses", "The action", word("action")), may("with", "Its inputs", values),
		)),
		may("accept", "Why a risk is taken", object(need("irreversible", "Why it may not be taken back", anyWord))),
	}
	return before, after
}

func bodyShape(kind string) []Key {
	what := func(doc string, s *Shape) Key { return need(kind, doc, s) }
	switch kind {
	case "uses":
		return []Key{what("Call an action", word("action")), may("with", "The action's inputs", values)}
	case "call":
		return []Key{what("Run another playbook", word("name")), may("with", "Its inputs", values)}
	case "report":
		return []Key{what("Write a report from a template", template), may("with", "What the template is given", values)}
	case "do":
		return []Key{what("A block of steps", steps)}
	case "parallel":
		return []Key{may("first", "End with the first branch that succeeds", word("", "true", "false")), what("Named branches that run beside each other", open(steps))}
	case "switch":
		return []Key{what("The value that chooses", expression), need("cases", "Steps per value; \"a, b\" names two", open(steps)), may("default", "Steps for every other value", steps)}
	case "ask":
		field := object(
			need("type", "The type of the answer", word("type")), may("of", "The names of a choice", words),
			may("among", "A list from which is chosen", expression), may("max", "The longest length", count),
			may("pattern", "RE2 that the whole text must match", anyWord), may("default", "The answer where none is given", anything),
		)
		return []Key{
			what("Ask people", template), may("subject", "The account that is asked first", anything),
			may("via", "The channel to it", anyWord), may("within", "How long it has", duration), may("from", "Whom, in order", chain),
			may("silent", "What silence does", word("", "skip", "stop", "fail", "continue")),
			may("show", "What to look at", values), may("fields", "Typed answers; without them it is a task", open(field)),
		}
	case "wait":
		return []Key{what("Wait: for, at, open or for_alert", object(
			may("for", "A duration", template), may("at", "A time", template), may("open", "A calendar", expression),
			may("for_alert", "A further alert of the run", object(
				may("when", "Which; it sees alert", expression), need("within", "How long", duration), may("late", "What happens where none came", late),
			)),
		))}
	case "set":
		return []Key{what("Name values", values)}
	case "undo":
		return []Key{what("Take back what steps did", &Shape{Form: Words, Hint: "template"})}
	case "note":
		return []Key{what("A note of the run, by its id", id), need("text", "What it says", anything)}
	case "fail":
		return []Key{what("End the run as failed", template)}
	case "stop":
		return []Key{what("End the run with a class", word("", "true_positive", "benign", "false_positive", "duplicate"))}
	}
	return nil
}
