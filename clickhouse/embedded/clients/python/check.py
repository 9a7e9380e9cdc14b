"""Drives the engine with clickhouse-connect, ClickHouse's official Python client.

Usage: check.py HOST PORT DATABASE; prints one line a check, exits 1 when one failed.
"""
import datetime
import sys
import traceback
import uuid

import clickhouse_connect
from clickhouse_connect.driver.exceptions import DatabaseError

host, port, database = sys.argv[1], int(sys.argv[2]), sys.argv[3]
failed = []


def check(name):
    def run(f):
        try:
            f()
            print(f"ok {name}")
        except Exception:  # the next check must run too
            failed.append(name)
            print(f"FAIL {name}: {traceback.format_exc()}")
    return run


def connect(**more):
    return clickhouse_connect.get_client(host=host, port=port, database=database, **more)


c = connect()


@check("ping and version")
def _():
    assert c.ping()
    assert c.server_version.startswith("26.")


@check("parameters")
def _():
    r = c.query("SELECT {n:Int32}, {s:String}, {a:Array(UInt8)}, {d:DateTime}", parameters={
        "n": -5, "s": "it's\t\\ é\n", "a": [1, 2], "d": datetime.datetime(2026, 1, 2, 3, 4, 5)})
    assert r.result_rows[0][:3] == (-5, "it's\t\\ é\n", [1, 2]), r.result_rows
    assert c.query("SELECT %(a)s + %(b)s", parameters={"a": 2, "b": 3}).result_rows == [(5,)]


@check("types come back as they went in")
def _():
    c.command("CREATE TABLE py (id UUID, ts DateTime64(3, 'UTC'), v Float64, n Nullable(Int64), q Enum8('good' = 0, 'bad' = 2), "
              "l LowCardinality(String), a Array(String), m Map(String, Int64), d Date, t Tuple(UInt8, String), b Bool, x Decimal(18, 4), i IPv4) ENGINE = MergeTree ORDER BY ts")
    ts = datetime.datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=datetime.timezone.utc)
    row = [uuid.uuid4(), ts, 1.5, None, "bad", "x", ["a", "b"], {"k": 1}, datetime.date(2026, 1, 2), (1, "z"), True, "3.1400", "10.0.0.1"]
    c.insert("py", [row] * 3)
    got = c.query("SELECT * FROM py").result_rows
    assert len(got) == 3
    assert got[0][0] == row[0] and got[0][1].timestamp() == ts.timestamp() and got[0][2:10] == tuple(row[2:10]), got[0]


@check("every compression, both ways")
def _():
    for method in ("lz4", "zstd", "gzip", "br", False):
        z = connect(compress=method)
        z.command("CREATE OR REPLACE TABLE z (a UInt64) ENGINE = MergeTree ORDER BY a")
        z.insert("z", [[i] for i in range(10000)], column_names=["a"])
        assert z.query("SELECT count(), sum(a) FROM z").result_rows == [(10000, 49995000)], method
        assert len(z.query("SELECT a FROM z").result_rows) == 10000
        z.close()


@check("streams of blocks and rows")
def _():
    n = 0
    with c.query_row_block_stream("SELECT number, toString(number) FROM numbers(500000)") as blocks:
        for block in blocks:
            n += len(block)
    assert n == 500000, n


@check("raw query and raw insert")
def _():
    assert c.raw_query("SELECT 1 AS a, 'b' AS b", fmt="CSVWithNames") == b'"a","b"\n1,"b"\n'
    c.command("CREATE OR REPLACE TABLE raw (a UInt64, b String) ENGINE = MergeTree ORDER BY a")
    c.raw_insert("raw", ["a", "b"], b"1,x\n2,y\n", fmt="CSV")
    assert c.command("SELECT sum(a) FROM raw") == 3


@check("settings")
def _():
    assert c.query("SELECT getSetting('max_threads')", settings={"max_threads": 1}).result_rows == [(1,)]
    assert len(c.server_settings) > 100


@check("summary of an insert")
def _():
    s = c.insert("raw", [[3, "z"]], column_names=["a", "b"])
    assert s.written_rows == 1, s.summary


@check("errors carry code and text")
def _():
    for statement, code in (("SELECT * FROM nothing", 60), ("SELEC 1", 62), ("SELECT nothing", 47)):
        try:
            c.query(statement)
        except DatabaseError as e:
            assert f"{code}" in str(e), e
        else:
            raise AssertionError(statement)


@check("an error in the middle is an error")
def _():
    try:
        c.query("SELECT throwIf(number = 900000), number FROM numbers(1000000)", settings={"max_block_size": 1000})
    except Exception:
        return
    raise AssertionError("a broken answer was taken for whole")


@check("a session keeps its temporary table and settings")
def _():
    s = connect(session_id=str(uuid.uuid4()))
    s.command("CREATE TEMPORARY TABLE tmp (a UInt8)")
    s.command("INSERT INTO tmp VALUES (7)")
    s.command("SET max_threads = 1")
    assert s.query("SELECT a, getSetting('max_threads') FROM tmp").result_rows == [(7, 1)]
    s.close()


@check("EXPLAIN, SHOW, DESCRIBE")
def _():
    assert c.query("SHOW TABLES").result_rows
    assert c.query("DESCRIBE TABLE raw").result_rows[0][0] == "a"
    assert c.query("EXPLAIN SELECT 1").result_rows
    assert c.query("SHOW CREATE TABLE raw").result_rows
    assert c.command("EXISTS TABLE raw") == 1


@check("system tables")
def _():
    for table in ("settings", "databases", "tables", "columns", "functions", "processes", "parts", "metrics", "formats", "data_type_families", "server_settings", "clusters", "time_zones"):
        c.query(f"SELECT * FROM system.{table} LIMIT 5")


sys.exit(1 if failed else 0)
