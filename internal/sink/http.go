package sink

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/portreeve/portreeve/internal/ledger"
)

// post sends a request and wants a 2xx. What the receiver says is not repeated: it may be anything.
func post(ctx context.Context, c *http.Client, r *http.Request) error {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	resp, err := c.Do(r.WithContext(ctx))
	if err != nil {
		if u, ok := err.(*url.Error); ok {
			err = u.Err // an address may hold a token
		}
		return fmt.Errorf("sending: %w", err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("sending: the receiver answered %d", resp.StatusCode)
	}
	return nil
}

// Webhook posts batches as JSON lines, signed as Standard Webhooks 1.0 says: the receiver computes the HMAC of id, time and
// body, and knows a batch that comes twice by its id.
type Webhook struct {
	client *http.Client
	url    string
	secret []byte
	format Format
}

// NewWebhook returns a sink to a webhook. The secret is used as it is; one that begins with whsec_ is read as Standard
// Webhooks writes it, in base64.
func NewWebhook(c *http.Client, address string, secret []byte, f Format) (*Webhook, error) {
	if text, ok := strings.CutPrefix(string(secret), "whsec_"); ok {
		key, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return nil, fmt.Errorf("the webhook's secret begins with whsec_ and is not base64 behind that")
		}
		secret = key
	}
	if len(secret) < 24 {
		return nil, fmt.Errorf("the webhook's secret has fewer than 24 bytes")
	}
	return &Webhook{c, address, secret, f}, nil
}

// Send implements Sender.
func (w *Webhook) Send(ctx context.Context, b Batch) error {
	body, err := lines(nil, b, w.format)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("sending: %w", err)
	}
	id, at := b.ID(), strconv.FormatInt(time.Now().Unix(), 10)
	mac := hmac.New(sha256.New, w.secret)
	fmt.Fprintf(mac, "%s.%s.%s", id, at, body)
	r.Header.Set("Content-Type", "application/jsonl")
	r.Header.Set("Webhook-Id", id)
	r.Header.Set("Webhook-Timestamp", at)
	r.Header.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	return post(ctx, w.client, r)
}

// Close implements Sender.
func (w *Webhook) Close() error { return nil }

// OTLP posts batches to an OpenTelemetry collector: OTLP/HTTP log records in JSON, whose body is the event.
type OTLP struct {
	client  *http.Client
	url     string
	headers map[string]string
}

// NewOTLP returns a sink to a collector. The address is the base URL, http://localhost:4318; /v1/logs is put behind it where
// it has no path.
func NewOTLP(c *http.Client, address string, headers map[string]string) *OTLP {
	if u, err := url.Parse(address); err == nil && (u.Path == "" || u.Path == "/") {
		address = u.JoinPath("/v1/logs").String()
	}
	return &OTLP{c, address, headers}
}

type otlpValue struct {
	String *string `json:"stringValue,omitempty"`
	Int    *string `json:"intValue,omitempty"` // 64-bit integers are strings in protobuf's JSON
}

type otlpAttribute struct {
	Key   string    `json:"key"`
	Value otlpValue `json:"value"`
}

type otlpRecord struct {
	Time       string          `json:"timeUnixNano"`
	Observed   string          `json:"observedTimeUnixNano"`
	Severity   int             `json:"severityNumber"`
	Text       string          `json:"severityText"`
	EventName  string          `json:"eventName"`
	Body       otlpValue       `json:"body"`
	Attributes []otlpAttribute `json:"attributes"`
}

func text(s string) otlpValue { return otlpValue{String: &s} }
func number(n int64) otlpValue {
	s := strconv.FormatInt(n, 10)
	return otlpValue{Int: &s}
}

// Send implements Sender.
func (o *OTLP) Send(ctx context.Context, b Batch) error {
	records := make([]otlpRecord, len(b.Records))
	for i, r := range b.Records {
		var e event
		if err := json.Unmarshal(r.Line, &e); err != nil {
			return fmt.Errorf("line %d: reading event: %w", r.Seq, err)
		}
		severity := map[int]int{1: 9, 2: 10, 3: 13, 4: 17, 5: 21}[e.Severity]
		name := map[int]string{9: "INFO", 10: "INFO2", 13: "WARN", 17: "ERROR", 21: "FATAL"}[severity]
		at := strconv.FormatInt(e.Time*int64(time.Millisecond), 10)
		records[i] = otlpRecord{Time: at, Observed: at, Severity: severity, Text: name, EventName: "ocsf." + strconv.Itoa(e.TypeUID), Body: text(string(r.Line)),
			Attributes: []otlpAttribute{{"portreeve.ledger.seq", number(int64(r.Seq))}, {"portreeve.ledger.origin", text(b.Origin)}, {"ocsf.class_uid", number(int64(e.ClassUID))}}}
	}
	body, err := json.Marshal(map[string]any{"resourceLogs": []any{map[string]any{
		"resource":  map[string]any{"attributes": []otlpAttribute{{"service.name", text("portreeve")}}},
		"scopeLogs": []any{map[string]any{"scope": map[string]string{"name": "portreeve.ledger"}, "logRecords": records}},
	}}})
	if err != nil {
		return fmt.Errorf("encoding: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, o.url, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("sending: %w", err)
	}
	r.Header.Set("Content-Type", "application/json")
	for name, value := range o.headers {
		r.Header.Set(name, value)
	}
	return post(ctx, o.client, r)
}

// Close implements Sender.
func (o *OTLP) Close() error { return nil }

// S3 puts batches into a bucket of S3 or of what speaks its protocol, an object a batch. The object's name is the batch's
// numbers. With object lock on the bucket nobody can take back what was sent.
type S3 struct {
	client         *http.Client
	bucket         *url.URL // path-style: https://s3.example.com/bucket/prefix
	region         string
	key, secretKey string
	signer         *v4.Signer
}

// NewS3 returns a sink to a bucket.
func NewS3(c *http.Client, bucket *url.URL, region, key, secretKey string) *S3 {
	return &S3{c, bucket, region, key, secretKey, v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })}
}

// Send implements Sender.
func (s *S3) Send(ctx context.Context, b Batch) error {
	body, err := lines(nil, b, OCSF)
	if err != nil {
		return err
	}
	first, last := b.Records[0], b.Records[len(b.Records)-1]
	u := s.bucket.JoinPath(strings.ReplaceAll(b.Origin, "/", "-"), timeOf(first.Line).UTC().Format("2006/01/02"), fmt.Sprintf("%012d-%012d.jsonl", first.Seq, last.Seq))
	r, err := http.NewRequestWithContext(ctx, http.MethodPut, u.String(), bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("sending: %w", err)
	}
	hash := sha256.Sum256(body)
	digest := hex.EncodeToString(hash[:])
	r.Header.Set("Content-Type", "application/jsonl")
	r.Header.Set("X-Amz-Content-Sha256", digest)
	r.Header.Set("X-Amz-Checksum-Sha256", base64.StdEncoding.EncodeToString(hash[:])) // object lock demands one
	if err := s.signer.SignHTTP(ctx, aws.Credentials{AccessKeyID: s.key, SecretAccessKey: s.secretKey}, r, digest, "s3", s.region, time.Now()); err != nil {
		return fmt.Errorf("signing: %w", err)
	}
	return post(ctx, s.client, r)
}

// Close implements Sender.
func (s *S3) Close() error { return nil }

func timeOf(line []byte) time.Time { return ledger.TimeOf(line) }
