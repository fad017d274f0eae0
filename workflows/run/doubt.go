package run

// DoubtInput starts the question about an effect of which nobody knows whether it
// happened, and whose run is gone.
type DoubtInput struct {
	Tenant string `json:"tenant"`
	Run    string `json:"run"`
	Key    string `json:"key"`
	// Action, Instance, Labels and Why are for what people see.
	Action   string   `json:"action"`
	Instance string   `json:"instance"`
	Labels   []string `json:"labels,omitempty"`
	Why      string   `json:"why,omitempty"`
}
