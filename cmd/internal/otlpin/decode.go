package otlpin

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"

	commonpb "go.opentelemetry.io/proto/slim/otlp/common/v1"
	logspb "go.opentelemetry.io/proto/slim/otlp/logs/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/quench-dev/quench/cmd/internal/intake"
)

const (
	// maxDepth bounds the nesting of a record's values: those of programs are a handful
	// deep, and each level is a longer name.
	maxDepth = 32
	// maxText bounds the text of one record: it is the limit of a request, many times
	// over that of a log line.
	maxText = maxBody
)

var (
	errDeep = fmt.Errorf("values are nested more than %d deep", maxDepth)
	errLong = fmt.Errorf("its text would be longer than %d bytes", maxText)
)

// decode reads a request: an ExportLogsServiceRequest, which is LogsData in another
// package. Unknown fields are passed over, as OTLP demands.
func decode(body []byte, asJSON bool) (*logspb.LogsData, error) {
	d := &logspb.LogsData{}
	var err error
	if asJSON {
		err = protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(body, d)
	} else {
		err = proto.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(body, d)
	}
	if err != nil {
		return nil, errors.New("the body does not parse as logs of OTLP") // the library's error may quote it
	}
	return d, nil
}

// records are what a request says, and how many log records could not be read, with the
// reason of the first.
func records(d *logspb.LogsData) (list []intake.Record, rejected int64, reason error) {
	for _, rl := range d.GetResourceLogs() {
		service := "unknown"
		for _, kv := range rl.GetResource().GetAttributes() {
			if s, ok := kv.GetValue().GetValue().(*commonpb.AnyValue_StringValue); ok && kv.GetKey() == "service.name" {
				service = name(s.StringValue)
			}
		}
		var w writer
		w.attributes("", rl.GetResource().GetAttributes(), 0)
		if w.err == nil && len(w.b) > 0 {
			list = append(list, intake.Record{Sender: service + " (resource)", Text: w.b, Place: 1, Once: true})
		}
		for _, sl := range rl.GetScopeLogs() {
			w = writer{}
			w.attributes("", sl.GetScope().GetAttributes(), 0)
			if w.err == nil && len(w.b) > 0 {
				list = append(list, intake.Record{Sender: service + " (scope)", Text: w.b, Place: 1, Once: true})
			}
			for _, r := range sl.GetLogRecords() {
				got, err := record(r, service)
				if err != nil {
					if rejected++; reason == nil {
						reason = err
					}
					continue
				}
				list = append(list, got...)
			}
		}
	}
	return list, rejected, reason
}

// record gives the body, which goes on with that of the record before, and the
// attributes.
func record(r *logspb.LogRecord, service string) (list []intake.Record, err error) {
	place := int64(r.GetTimeUnixNano())
	if place <= 0 {
		place = int64(r.GetObservedTimeUnixNano())
	}
	place = max(place, 0)
	var w writer
	w.value("", r.GetBody(), 0)
	var a writer
	a.attributes("", r.GetAttributes(), 0)
	if err := errors.Join(w.err, a.err); err != nil {
		return nil, err
	}
	if len(w.b) > 0 {
		list = append(list, intake.Record{Sender: service, Text: w.b, Place: place})
	}
	if len(a.b) > 0 {
		list = append(list, intake.Record{Sender: service + " (attributes)", Text: a.b, Place: place})
	}
	return list, nil
}

// writer writes values as text: a string as it is, and one that has a name as NAME="…",
// each on a line.
type writer struct {
	b   []byte
	err error
}

func (w *writer) attributes(prefix string, list []*commonpb.KeyValue, depth int) {
	for _, kv := range list {
		k := kv.GetKey()
		if prefix != "" {
			k = prefix + "." + k
		}
		w.value(k, kv.GetValue(), depth+1)
	}
}

func (w *writer) value(key string, v *commonpb.AnyValue, depth int) {
	if depth > maxDepth {
		w.err = errDeep
	}
	if len(w.b)+len(key) > maxText {
		w.err = errLong
	}
	if w.err != nil {
		return
	}
	switch x := v.GetValue().(type) {
	case *commonpb.AnyValue_StringValue:
		w.text(key, x.StringValue)
	case *commonpb.AnyValue_BytesValue:
		w.text(key, string(x.BytesValue))
		w.text(key, hex.EncodeToString(x.BytesValue)) // a key of AES is often logged so
	case *commonpb.AnyValue_IntValue:
		w.text(key, strconv.FormatInt(x.IntValue, 10))
	case *commonpb.AnyValue_DoubleValue:
		w.text(key, strconv.FormatFloat(x.DoubleValue, 'g', -1, 64))
	case *commonpb.AnyValue_BoolValue:
		w.text(key, strconv.FormatBool(x.BoolValue))
	case *commonpb.AnyValue_ArrayValue:
		for _, e := range x.ArrayValue.GetValues() {
			w.value(key, e, depth+1)
		}
	case *commonpb.AnyValue_KvlistValue:
		w.attributes(key, x.KvlistValue.GetValues(), depth)
	}
}

func (w *writer) text(key, s string) {
	if len(w.b) > 0 {
		w.b = append(w.b, '\n')
	}
	if key == "" {
		w.b = append(w.b, s...)
		return
	}
	w.b = append(append(append(append(w.b, key...), '=', '"'), s...), '"')
}

// name is a service's name as a path has it.
func name(s string) string {
	b := []byte(s[:min(len(s), 200)])
	for i, c := range b {
		if c < ' ' || c >= 0x7f {
			b[i] = '_'
		}
	}
	if len(b) == 0 {
		return "unknown"
	}
	return string(b)
}

// answer is an ExportLogsServiceResponse: with a partial success when records were
// rejected, and empty otherwise.
func answer(rejected int64, reason error, asJSON bool) []byte {
	if asJSON {
		if rejected == 0 {
			return []byte("{}")
		}
		return []byte(`{"partialSuccess":{"rejectedLogRecords":"` + strconv.FormatInt(rejected, 10) + `","errorMessage":` + strconv.Quote(reason.Error()) + `}}`)
	}
	if rejected == 0 {
		return nil
	}
	var p []byte
	p = protowire.AppendVarint(protowire.AppendTag(p, 1, protowire.VarintType), uint64(rejected))
	p = protowire.AppendString(protowire.AppendTag(p, 2, protowire.BytesType), reason.Error())
	return protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), p)
}

// status is a google.rpc.Status, which an error's answer holds.
func status(code int32, message string, asJSON bool) []byte {
	if asJSON {
		return []byte(`{"code":` + strconv.Itoa(int(code)) + `,"message":` + strconv.Quote(message) + `}`)
	}
	b := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), uint64(code))
	return protowire.AppendString(protowire.AppendTag(b, 2, protowire.BytesType), message)
}
