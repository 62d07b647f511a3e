package gate

// StageInfo is one place on the request's way, as people are told of it.
type StageInfo struct {
	Name    string
	In      string // what it does to the request, "" for nothing
	Out     string // what it does to the answer, "" for nothing
	Answers bool   // the API, or the wrapped handler, answers here
	Before  string // what the stage that answers asks first, "" for nothing
}

// Stages returns the request's way in its order.
func Stages() []StageInfo {
	told := make([]StageInfo, len(order))
	for i, s := range order {
		told[i] = StageInfo{s.name, s.in, s.out, i == origin, s.before}
	}
	return told
}
