package sink

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

func sum(line []byte) string {
	h := sha256.Sum256(line)
	return hex.EncodeToString(h[:])
}

// Format is how an event is written for a receiver.
type Format string

const (
	OCSF Format = "ocsf" // as the ledger has it: the only form that can be verified again
	ECS  Format = "ecs"  // Elastic Common Schema 8
	CEF  Format = "cef"  // ArcSight Common Event Format, version 0
)

// Encode writes an event's line in a format.
func (f Format) Encode(line []byte) ([]byte, error) {
	if f == OCSF || f == "" {
		return line, nil
	}
	var e event
	if err := json.Unmarshal(line, &e); err != nil {
		return nil, fmt.Errorf("reading event: %w", err)
	}
	if f == ECS {
		return e.ecs(line)
	}
	return e.cef(), nil
}

// event is what the other formats have a place for.
type event struct {
	ClassUID int    `json:"class_uid"`
	Class    string `json:"class_name"`
	Activity int    `json:"activity_id"`
	TypeUID  int    `json:"type_uid"`
	Time     int64  `json:"time"`
	Severity int    `json:"severity_id"`
	Status   int    `json:"status_id"`
	Message  string `json:"message"`
	Metadata struct {
		UID     string `json:"correlation_uid"`
		Product struct {
			Name   string `json:"name"`
			Vendor string `json:"vendor_name"`
		} `json:"product"`
	} `json:"metadata"`
	Actor struct {
		User struct {
			Type   string `json:"type"`
			UID    string `json:"uid"`
			Domain string `json:"domain"`
			Groups []struct {
				Name string `json:"name"`
			} `json:"groups"`
		} `json:"user"`
	} `json:"actor"`
	API struct {
		Operation string `json:"operation"`
	} `json:"api"`
	Source struct {
		IP string `json:"ip"`
	} `json:"src_endpoint"`
	Request struct {
		Method string `json:"http_method"`
		Agent  string `json:"user_agent"`
		URL    struct {
			Path string `json:"path"`
		} `json:"url"`
	} `json:"http_request"`
	Response struct {
		Code    int   `json:"code"`
		Latency int64 `json:"latency"`
	} `json:"http_response"`
	Resources []struct {
		Type string `json:"type"`
		UID  string `json:"uid"`
	} `json:"resources"`
	Authorizations []struct {
		Decision string `json:"decision"`
	} `json:"authorizations"`
	Unmapped struct {
		Phase  string `json:"phase"`
		Stage  string `json:"stage"`
		Reason string `json:"reason"`
		Verb   string `json:"verb"`
		Target string `json:"target"`
	} `json:"unmapped"`
	Ledger struct {
		Seq uint64 `json:"seq"`
	} `json:"ledger"`
}

func (e *event) action() string {
	if e.API.Operation != "" {
		return e.API.Operation
	}
	if e.Unmapped.Verb != "" {
		return e.Unmapped.Verb
	}
	return e.Class
}

func (e *event) outcome() string {
	switch e.Status {
	case 1:
		return "success"
	case 2:
		return "failure"
	}
	return "unknown"
}

// ecs writes the fields of the Elastic Common Schema; the ledger's own line goes along as event.original.
func (e *event) ecs(line []byte) ([]byte, error) {
	set := func(m map[string]any, name string, v any) {
		switch v := v.(type) {
		case string:
			if v == "" {
				return
			}
		case int:
			if v == 0 {
				return
			}
		}
		m[name] = v
	}
	kind, category := "event", "web"
	switch e.ClassUID {
	case 2004:
		kind, category = "alert", "intrusion_detection"
	case 3004:
		category = "iam"
	case 3002:
		category = "authentication"
	case 6002:
		category = "process"
	}
	ev := map[string]any{"kind": kind, "category": []string{category}, "outcome": e.outcome(), "sequence": e.Ledger.Seq, "severity": e.Severity,
		"module": "portreeve", "dataset": "portreeve.audit", "original": string(line)}
	set(ev, "action", e.action())
	set(ev, "id", e.Metadata.UID)
	set(ev, "reason", e.Unmapped.Reason)
	if e.Response.Code != 0 {
		ev["duration"] = e.Response.Latency * int64(time.Millisecond)
	}
	out := map[string]any{"@timestamp": time.UnixMilli(e.Time).UTC().Format("2006-01-02T15:04:05.000Z"), "ecs": map[string]string{"version": "8.17.0"}, "event": ev}
	set(out, "message", e.Message)
	user := map[string]any{}
	set(user, "id", e.Actor.User.UID)
	set(user, "domain", e.Actor.User.Domain)
	if len(e.Actor.User.Groups) > 0 {
		roles := make([]string, len(e.Actor.User.Groups))
		for i, g := range e.Actor.User.Groups {
			roles[i] = g.Name
		}
		user["roles"] = roles
	}
	if len(user) > 0 {
		out["user"] = user
	}
	if e.Source.IP != "" {
		out["source"] = map[string]string{"ip": e.Source.IP}
	}
	if e.Request.Method != "" {
		h := map[string]any{"request": map[string]string{"method": e.Request.Method, "id": e.Metadata.UID}}
		if e.Response.Code != 0 {
			h["response"] = map[string]int{"status_code": e.Response.Code}
		}
		out["http"] = h
		out["url"] = map[string]string{"path": e.Request.URL.Path}
		if e.Request.Agent != "" {
			out["user_agent"] = map[string]string{"original": e.Request.Agent}
		}
	}
	return json.Marshal(out)
}

// cef writes the event in ArcSight's form: a header whose | and \ are escaped, and an extension whose = and \ are.
// Neither can hold a line break (CWE-117).
func (e *event) cef() []byte {
	header := strings.NewReplacer(`\`, `\\`, `|`, `\|`, "\n", " ", "\r", " ")
	value := strings.NewReplacer(`\`, `\\`, `=`, `\=`, "\n", `\n`, "\r", `\r`)
	severity := map[int]int{1: 1, 2: 4, 3: 6, 4: 8, 5: 10}[e.Severity]
	var b strings.Builder
	fmt.Fprintf(&b, "CEF:0|%s|%s|1|%d|%s|%d|", header.Replace(e.Metadata.Product.Vendor), header.Replace(e.Metadata.Product.Name), e.TypeUID, header.Replace(e.action()), severity)
	first := true
	add := func(key, v string) {
		if v == "" {
			return
		}
		if !first {
			b.WriteByte(' ')
		}
		first = false
		b.WriteString(key + "=" + value.Replace(v))
	}
	add("rt", strconv.FormatInt(e.Time, 10))
	add("externalId", strconv.FormatUint(e.Ledger.Seq, 10))
	add("src", e.Source.IP)
	add("suser", e.Actor.User.UID)
	add("requestMethod", e.Request.Method)
	add("request", e.Request.URL.Path)
	add("requestClientApplication", e.Request.Agent)
	add("outcome", e.outcome())
	add("reason", e.Unmapped.Reason)
	if len(e.Authorizations) > 0 {
		add("act", e.Authorizations[0].Decision)
	}
	if e.Response.Code != 0 {
		add("cn1Label", "status")
		add("cn1", strconv.Itoa(e.Response.Code))
	}
	if e.Metadata.UID != "" {
		add("cs1Label", "requestId")
		add("cs1", e.Metadata.UID)
	}
	if len(e.Resources) > 0 {
		add("cs2Label", "object")
		add("cs2", e.Resources[0].Type+":"+e.Resources[0].UID)
	}
	if e.Unmapped.Target != "" {
		add("cs3Label", "target")
		add("cs3", e.Unmapped.Target)
	}
	add("msg", e.Message)
	return []byte(b.String())
}
