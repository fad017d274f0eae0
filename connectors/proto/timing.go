package proto

import (
	"strconv"
	"time"

	"google.golang.org/grpc/metadata"
)

// TraceParent is the metadata of a call that says where in a trace it belongs, as
// the W3C's Trace Context has it. A connector that gets one answers with Took.
const TraceParent = "traceparent"

const took = "quell-took"

// Took is the trailer that says how long the process worked on a call.
func Took(d time.Duration) metadata.MD {
	return metadata.Pairs(took, strconv.FormatInt(int64(d), 10))
}

// TookOf reads the trailer; false where there is none that makes sense. The
// connector wrote it.
func TookOf(md metadata.MD) (time.Duration, bool) {
	v := md.Get(took)
	if len(v) != 1 {
		return 0, false
	}
	n, err := strconv.ParseInt(v[0], 10, 64)
	return time.Duration(n), err == nil && n >= 0
}
