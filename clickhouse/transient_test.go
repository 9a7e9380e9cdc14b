package clickhouse_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/foodflow/foodflow/clickhouse"
	"github.com/foodflow/foodflow/clickhouse/embedded/embeddedtest"
)

// TestCodes holds the sorting of errors, and lets the engine confirm that each
// number is the error it is taken for.
func TestCodes(t *testing.T) {
	cfg := clickhouse.DefaultConfig()
	cfg.URL = embeddedtest.Start(t)
	c, err := clickhouse.NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for transient, codes := range map[bool]map[int]string{
		true: {
			159: "TIMEOUT_EXCEEDED", 160: "TOO_SLOW", 164: "READONLY", 242: "TABLE_IS_READ_ONLY", 202: "TOO_MANY_SIMULTANEOUS_QUERIES",
			252: "TOO_MANY_PARTS", 241: "MEMORY_LIMIT_EXCEEDED", 243: "NOT_ENOUGH_SPACE", 203: "NO_FREE_CONNECTION", 209: "SOCKET_TIMEOUT",
			210: "NETWORK_ERROR", 279: "ALL_CONNECTION_TRIES_FAILED", 225: "NO_ZOOKEEPER", 999: "KEEPER_EXCEPTION", 285: "TOO_FEW_LIVE_REPLICAS",
			319: "UNKNOWN_STATUS_OF_INSERT", 394: "QUERY_WAS_CANCELLED", 236: "ABORTED", 173: "CANNOT_ALLOCATE_MEMORY", 198: "DNS_ERROR",
			201: "QUOTA_EXCEEDED", 286: "UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE", 439: "CANNOT_SCHEDULE_TASK", 473: "DEADLOCK_AVOIDED", 745: "SERVER_OVERLOADED",
		},
		false: {
			60: "UNKNOWN_TABLE", 81: "UNKNOWN_DATABASE", 53: "TYPE_MISMATCH", 16: "NO_SUCH_COLUMN_IN_TABLE", 33: "CANNOT_READ_ALL_DATA", 27: "CANNOT_PARSE_INPUT_ASSERTION_FAILED",
			115: "UNKNOWN_SETTING", 452: "SETTING_CONSTRAINT_VIOLATION", 497: "ACCESS_DENIED", 516: "AUTHENTICATION_FAILED", 62: "SYNTAX_ERROR", 117: "INCORRECT_DATA",
		},
	} {
		for code, name := range codes {
			err := fmt.Errorf("inserting: %w", &clickhouse.Exception{Status: http.StatusInternalServerError, Code: code})
			if clickhouse.IsTransient(err) != transient {
				t.Errorf("%d %s is transient: %v", code, name, !transient)
			}
			if got, err := c.ExecAnywhere(t.Context(), fmt.Sprintf("SELECT errorCodeToName(%d)", code)); err != nil || strings.TrimSpace(got) != name {
				t.Errorf("%d is %q to the engine, not %s, %v", code, got, name, err)
			}
		}
	}
	if clickhouse.IsTransient(nil) || clickhouse.IsTransient(fmt.Errorf("checking: %w", clickhouse.ErrUnfit)) {
		t.Error("nothing to wait for is waited for")
	}
}
