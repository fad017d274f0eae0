package expr

import (
	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/env"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// FunctionNames lists the library's own function names and those of CEL that
// playbooks use, for "did you mean" and to keep ids from shadowing them.
func FunctionNames() []string {
	return []string{
		"all", "chunks", "cidr.contains", "contains", "days", "defang", "distinct",
		"distinct_by", "domain.parent", "double", "duration", "endsWith", "exists",
		"exists_one", "filter", "has", "hash.kind", "hours", "int", "is_private",
		"join", "json.parse", "lowerAscii", "map", "matches", "minutes", "orValue",
		"refang", "replace", "size", "split", "startsWith", "string", "take",
		"timestamp", "trim", "type", "upperAscii",
	}
}

// standard is CEL's standard library without what the language does its own way:
// durations have days and weeks here, text of a duration is the short form, and
// a time is read in UTC.
func standard() cel.EnvOption {
	out := []*env.Function{
		env.NewFunction(overloads.TypeConvertDuration),
		env.NewFunction(overloads.TypeConvertBytes),
		env.NewFunction(overloads.TypeConvertDyn),
		env.NewFunction(overloads.TypeConvertUint),
		env.NewFunction(overloads.TypeConvertString),
	}
	// Zones belong to calendars, whose rules are recorded with the run.
	for _, f := range [][2]string{
		{overloads.TimeGetFullYear, overloads.TimestampToYearWithTz},
		{overloads.TimeGetMonth, overloads.TimestampToMonthWithTz},
		{overloads.TimeGetDayOfYear, overloads.TimestampToDayOfYearWithTz},
		{overloads.TimeGetDayOfMonth, overloads.TimestampToDayOfMonthZeroBasedWithTz},
		{overloads.TimeGetDate, overloads.TimestampToDayOfMonthOneBasedWithTz},
		{overloads.TimeGetDayOfWeek, overloads.TimestampToDayOfWeekWithTz},
		{overloads.TimeGetHours, overloads.TimestampToHoursWithTz},
		{overloads.TimeGetMinutes, overloads.TimestampToMinutesWithTz},
		{overloads.TimeGetSeconds, overloads.TimestampToSecondsWithTz},
		{overloads.TimeGetMilliseconds, overloads.TimestampToMillisecondsWithTz},
	} {
		out = append(out, env.NewFunction(f[0], &env.Overload{ID: f[1]}))
	}
	return cel.StdLib(cel.StdLibSubset(&env.LibrarySubset{ExcludeFunctions: out}))
}

// library declares the language's own functions. None reads anything besides
// its arguments, and none iterates a Go map.
func library() []cel.EnvOption {
	var opts []cel.EnvOption
	opts = append(opts, cel.Function(anyName,
		cel.Overload("any", []*cel.Type{cel.TypeParamType("T")}, cel.DynType, cel.UnaryBinding(identity))))
	for _, part := range [][]cel.EnvOption{orderOptions(), timeOptions(), listOptions(), textOptions(), netOptions()} {
		opts = append(opts, part...)
	}
	return opts
}

// orderOptions let severities and criticalities compare by rank.
func orderOptions() []cel.EnvOption {
	var opts []cel.EnvOption
	for _, op := range []struct{ name, id string }{
		{operators.Less, "less"},
		{operators.LessEquals, "less_equals"},
		{operators.Greater, "greater"},
		{operators.GreaterEquals, "greater_equals"},
	} {
		for _, t := range []*cel.Type{severityType, criticalityType} {
			opts = append(opts, cel.Function(op.name,
				cel.Overload(op.id+"_"+t.TypeName(), []*cel.Type{t, t}, cel.BoolType)))
		}
	}
	return opts
}

func timeOptions() []cel.EnvOption {
	unit := func(name string, nanos int64) cel.EnvOption {
		most := int64(1<<63-1) / nanos
		return cel.Function(name, cel.Overload(name+"_int", []*cel.Type{cel.IntType}, cel.DurationType,
			cel.UnaryBinding(func(n ref.Val) ref.Val {
				x, ok := n.(types.Int)
				if !ok || int64(x) > most || int64(x) < -most {
					return types.NewErr("%s(%v) is out of range", name, n.Value())
				}
				return types.Duration{Duration: durationOf(int64(x) * nanos)}
			})))
	}
	const second = int64(1e9)
	return []cel.EnvOption{
		unit("minutes", 60*second), unit("hours", 3600*second), unit("days", 24*3600*second),
		cel.Function("duration",
			cel.Overload("duration_string", []*cel.Type{cel.StringType}, cel.DurationType, cel.UnaryBinding(parseDuration)),
			cel.Overload("duration_duration", []*cel.Type{cel.DurationType}, cel.DurationType, cel.UnaryBinding(identity))),
	}
}

func identity(v ref.Val) ref.Val { return v }

func listOptions() []cel.EnvOption {
	t := cel.TypeParamType("T")
	k := cel.TypeParamType("K")
	list := cel.ListType(t)
	member := func(name, id string, args []*cel.Type, result *cel.Type, opts ...cel.OverloadOpt) cel.EnvOption {
		return cel.Function(name, cel.MemberOverload(id, args, result, opts...))
	}
	return []cel.EnvOption{
		member("take", "list_take_int", []*cel.Type{list, cel.IntType}, list, cel.BinaryBinding(take)),
		member("chunks", "list_chunks_int", []*cel.Type{list, cel.IntType}, cel.ListType(list), cel.BinaryBinding(chunks)),
		member("distinct", "list_distinct", []*cel.Type{list}, list, cel.UnaryBinding(func(v ref.Val) ref.Val { return distinctBy(v, v) })),
		member("join", "list_join_string", []*cel.Type{cel.ListType(cel.StringType), cel.StringType}, cel.StringType, cel.BinaryBinding(joinTexts)),
		cel.Function(distinctByName, cel.Overload("list_distinct_by", []*cel.Type{list, cel.ListType(k)}, list, cel.BinaryBinding(distinctBy))),
		cel.Macros(cel.ReceiverMacro("distinct_by", 2, distinctByMacro)),
	}
}

func textOptions() []cel.EnvOption {
	str := cel.StringType
	unary := func(name string, f func(string) ref.Val) cel.EnvOption {
		return cel.Function(name, cel.MemberOverload("string_"+name, []*cel.Type{str}, str, cel.UnaryBinding(onText(f))))
	}
	return []cel.EnvOption{
		unary("lowerAscii", lowerASCII), unary("upperAscii", upperASCII), unary("trim", trim),
		cel.Function("split", cel.MemberOverload("string_split_string", []*cel.Type{str, str}, cel.ListType(str), cel.BinaryBinding(split))),
		cel.Function("replace", cel.MemberOverload("string_replace_string_string", []*cel.Type{str, str, str}, str, cel.FunctionBinding(replace))),
		cel.Function("string", stringOverloads()...),
		cel.Function("json.parse", cel.Overload("json_parse_string", []*cel.Type{str}, cel.DynType, cel.UnaryBinding(onText(parseJSON)))),
	}
}

// stringOverloads convert what a template can write too, and in the same form.
func stringOverloads() []cel.FunctionOpt {
	var opts []cel.FunctionOpt
	for _, t := range []*cel.Type{
		cel.StringType, cel.IntType, cel.DoubleType, cel.BoolType, cel.TimestampType,
		cel.DurationType, severityType, criticalityType,
	} {
		opts = append(opts, cel.Overload("string_of_"+t.TypeName(), []*cel.Type{t}, cel.StringType, cel.UnaryBinding(textOf)))
	}
	return opts
}

func netOptions() []cel.EnvOption {
	str := cel.StringType
	unary := func(name, id string, result *cel.Type, f func(string) ref.Val) cel.EnvOption {
		return cel.Function(name, cel.Overload(id, []*cel.Type{str}, result, cel.UnaryBinding(onText(f))))
	}
	return []cel.EnvOption{
		cel.Function("cidr.contains", cel.Overload("cidr_contains", []*cel.Type{str, str}, cel.BoolType, cel.BinaryBinding(cidrContains))),
		unary("is_private", "is_private_string", cel.BoolType, isPrivate),
		unary("defang", "defang_string", str, defang),
		unary("refang", "refang_string", str, refang),
		unary("domain.parent", "domain_parent_string", str, domainParent),
		unary("hash.kind", "hash_kind_string", str, hashKind),
	}
}

// onText adapts a function of one text.
func onText(f func(string) ref.Val) func(ref.Val) ref.Val {
	return func(v ref.Val) ref.Val {
		s, ok := v.(types.String)
		if !ok {
			return types.MaybeNoSuchOverloadErr(v)
		}
		return f(string(s))
	}
}
