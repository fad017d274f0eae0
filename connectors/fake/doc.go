// Package fake is what the stateful fakes of vendors share: a script of faults,
// a clock, a world with its journal, and the control API by which tests and the
// lab steer them. The fakes themselves stand beside their connectors.
//
// # Faults
//
// A script is text, one rule a line; "#" begins a comment:
//
//	rule  = VENDOR OPERATION [OBJECT] ":" step { ";" ["then"] step }
//	step  = [ N "x" | "always" ] [ P "%" ] fault
//	fault = "ok"                     served as usual
//	      | "429" ["retry=" D]       refused, with the vendor's own header; nothing done
//	      | "500" … "599"            refused; nothing done
//	      | "400" … "499"            refused; nothing done
//	      | "soft"                   a success with the vendor's error within; nothing done
//	      | "expire-token"           every token given out so far ends now
//	      | "slow" D                 served after D, even if the client has gone
//	      | "drop"                   connection closed; nothing done
//	      | "lost" ["status=" N]     done, then the connection is closed, or N is answered
//	      | "late" D                 connection closed now, done D later
//	      | "hold" D                 done and journalled, then answered after D
//
// VENDOR, OPERATION and OBJECT may be "*". Times are as in Go: 150ms, 3s. A step
// counts for one request unless it says "3x" or "always"; with a chance and no
// count it never ends. Each request that a rule matches uses up one turn of the
// rule's current step; when all are used up, the rule is over. The first rule
// with a turn left decides. For example:
//
//	crowdstrike contain: 2x 429 retry=1s; then lost; slow 3s; 500
//	crowdstrike * : 5% 503
//	jira create: hold 10s
//
// # Journal
//
// Every write that a fake accepts is one effect in the journal, whether it
// changed something or not: twice the same effect is what a test looks for. It
// is on disk before the fake answers.
package fake
