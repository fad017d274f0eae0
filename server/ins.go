package server

import "github.com/quell-soar/quell/server/api"

// What routes take, by path, query and body. What others embed is exported
// because huma reads exported fields only.
type (
	// Page asks for one page of a list.
	Page struct {
		Limit  int    `query:"limit" minimum:"1" default:"50" doc:"how many; at most 200 are given"`
		Cursor string `query:"cursor" maxLength:"500" doc:"next of the page before"`
	}
	// OfRun names a run.
	OfRun struct {
		Playbook   string `path:"playbook" maxLength:"200"`
		Hash       string `path:"hash" maxLength:"200"`
		Generation string `path:"generation" maxLength:"20"`
	}
	// OfID names one of a kind that the route says.
	OfID struct {
		ID string `path:"id" maxLength:"500"`
	}
	instanceIn struct {
		Instance string `path:"instance" maxLength:"200"`
	}
	readyIn struct {
		Status string `query:"status" doc:"ok: answer 200 though a part is down"`
	}
	listRunsIn struct {
		Page
		Playbook string `query:"playbook" maxLength:"200"`
		Status   string `query:"status" maxLength:"20" doc:"waiting, running or ended"`
		Closing  string `query:"closing" maxLength:"50" doc:"how it ended: completed, failed, cancelled, denied, or a class of stop"`
		Incident string `query:"incident" maxLength:"200"`
	}
	listAlertsIn struct {
		Page
		Source string `query:"source" maxLength:"200"`
	}
	listRequestsIn struct {
		Page
		Run string `query:"run" maxLength:"500" doc:"of one run"`
		All bool   `query:"all" doc:"closed ones too; needs run"`
	}
	entriesIn struct {
		Page
		Run   string `query:"run" maxLength:"500" doc:"of one run"`
		After int64  `query:"after" minimum:"0" doc:"the number of the last entry that was seen"`
	}
	observedIn struct {
		Since    string `query:"since" maxLength:"20" doc:"how far back, such as 24h; 7d where it is not given"`
		Playbook string `query:"playbook" maxLength:"200" doc:"of one playbook"`
	}
	// OfPlaybook names a playbook.
	OfPlaybook struct {
		Playbook string `path:"playbook" maxLength:"200"`
	}
	versionIn struct {
		OfPlaybook
		Digest string `path:"digest" maxLength:"100" doc:"whole, or its first eight characters or more; current for the current version"`
	}
	diffIn struct {
		OfPlaybook
		From string `query:"from" maxLength:"100" doc:"a digest; the version before the other one where it is not given"`
		To   string `query:"to" maxLength:"100" doc:"a digest; the current version where it is not given"`
	}
	publishIn struct {
		Body api.PublishPlaybooks
	}
	promoteIn struct {
		OfPlaybook
		Body api.PromotePlaybook
	}
	retireIn struct {
		OfPlaybook
		Body api.RetirePlaybook
	}
	startIn struct {
		Body api.StartRun
	}
	backtestIn struct {
		Body api.BacktestRequest
	}
	planIn struct {
		Body api.PlanRequest
	}
	undoIn struct {
		OfRun
		Body api.UndoRun
	}
	undoResultIn struct {
		OfRun
		N int `path:"n" minimum:"1"`
	}
	cancelIn struct {
		OfRun
		Body api.CancelRun
	}
	voteIn struct {
		OfID
		Body api.Vote
	}
	answerIn struct {
		OfID
		Body api.Answer
	}
	resolveIn struct {
		OfID
		Body api.Resolve
	}
	switchIn struct {
		Body api.TurnSwitch
	}
	rotateIn struct {
		OfID
		Body api.RotateToken
	}
	firstIn struct {
		Body api.FirstAdmin
	}
	newTokenIn struct {
		Body api.NewToken
	}
)

// most is how many entries of a list one answer gives.
const most = 200

func (p Page) limit() int { return min(p.Limit, most) }

func (r OfRun) run() string { return r.Playbook + "/" + r.Hash + "/" + r.Generation }
