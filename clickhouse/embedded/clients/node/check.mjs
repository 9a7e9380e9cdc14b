// Drives the engine with ClickHouse's official JavaScript client.
// Usage: node check.mjs URL DATABASE; prints one line a check, exits 1 when one failed.
import { createRequire } from 'node:module'
import assert from 'node:assert/strict'
import { Readable } from 'node:stream'

// The client lies in the folder the test names, not beside this file.
const { createClient } = createRequire(process.env.CLIENT_DIR + '/')('@clickhouse/client')
const [url, database] = process.argv.slice(2)
let failed = 0
async function check(name, run) {
  try {
    await run()
    console.log(`ok ${name}`)
  } catch (e) {
    failed++
    console.log(`FAIL ${name}: ${e.stack ?? e}`)
  }
}
const open = (more = {}) => createClient({ url, database, ...more })
const rows = async (c, query, more = {}) => (await c.query({ query, format: 'JSONEachRow', ...more })).json()

const c = open()
await check('ping', async () => assert.equal((await c.ping()).success, true))
await check('ping with a statement', async () => assert.equal((await c.ping({ select: true })).success, true))
await check('parameters', async () => {
  const got = await rows(c, 'SELECT {n:Int32} AS n, {s:String} AS s, {a:Array(UInt8)} AS a, {d:DateTime64(3)} AS d, {x:Nullable(String)} AS x, {m:Map(String, UInt8)} AS m', {
    query_params: { n: -5, s: "it's\t\\ é\n", a: [1, 2], d: new Date('2026-01-02T03:04:05.678Z'), x: null, m: { k: 1 } },
  })
  assert.deepEqual(got, [{ n: -5, s: "it's\t\\ é\n", a: [1, 2], d: '2026-01-02 03:04:05.678', x: null, m: { k: 1 } }])
})
await check('command, insert and select', async () => {
  const made = await c.command({ query: 'CREATE TABLE js (id UInt64, v Float64, s LowCardinality(String)) ENGINE = MergeTree ORDER BY id' })
  assert.ok(made.query_id)
  const put = await c.insert({ table: 'js', values: [{ id: 1, v: 0.5, s: 'a' }, { id: 2, v: 1.5, s: 'b' }], format: 'JSONEachRow' })
  assert.equal(put.executed, true)
  assert.equal(put.summary.written_rows, '2')
  assert.deepEqual(await rows(c, 'SELECT * FROM js ORDER BY id'), [{ id: '1', v: 0.5, s: 'a' }, { id: '2', v: 1.5, s: 'b' }].map((r) => ({ ...r, id: Number(r.id) })))
})
await check('insert of a stream, columns chosen', async () => {
  const stream = Readable.from((function* () { for (let i = 0; i < 50000; i++) yield { id: 100 + i, v: i } })(), { objectMode: true })
  await c.insert({ table: 'js', values: stream, columns: ['id', 'v'], format: 'JSONEachRow' })
  assert.deepEqual(await rows(c, 'SELECT toUInt32(count()) AS n FROM js WHERE id >= 100'), [{ n: 50000 }])
})
await check('exec with values in the body', async () => {
  const r = await c.exec({ query: 'INSERT INTO js FORMAT CSV', values: Readable.from(['7,1,"x"\n', '8,2,"y"\n'], { objectMode: false }) })
  r.stream.destroy()
  assert.deepEqual(await rows(c, 'SELECT toUInt32(sum(id)) AS n FROM js WHERE id IN (7, 8)'), [{ n: 15 }])
})
for (const format of ['JSON', 'JSONCompact', 'JSONEachRow', 'JSONCompactEachRowWithNamesAndTypes', 'CSVWithNames', 'TabSeparated', 'Parquet', 'JSONStrings', 'JSONObjectEachRow', 'JSONColumnsWithMetadata']) {
  await check(`format ${format}`, async () => {
    const r = await c.query({ query: 'SELECT 1 AS a, \'x\' AS b', format })
    const text = await r.text()
    assert.ok(text.length > 0)
    if (format === 'JSON') assert.deepEqual(JSON.parse(text).data, [{ a: 1, b: 'x' }])
  })
}
await check('rows arrive as a stream', async () => {
  const r = await c.query({ query: 'SELECT number FROM system.numbers LIMIT 1000000', format: 'JSONEachRow' })
  let n = 0
  for await (const part of r.stream()) n += part.length
  assert.equal(n, 1000000)
})
await check('progress rows', async () => {
  const r = await c.query({ query: 'SELECT number FROM numbers(10)', format: 'JSONEachRowWithProgress' })
  let n = 0
  for await (const part of r.stream()) for (const row of part) if ('row' in row.json()) n++
  assert.equal(n, 10)
})
await check('compressed both ways', async () => {
  const z = open({ compression: { request: true, response: true } })
  await z.insert({ table: 'js', values: [{ id: 3, v: 2.5, s: 'c' }], format: 'JSONEachRow' })
  assert.deepEqual(await rows(z, 'SELECT v FROM js WHERE id = 3'), [{ v: 2.5 }])
  await z.close()
})
await check('progress headers and settings', async () => {
  const got = await rows(c, "SELECT getSetting('max_threads') AS t, getSetting('max_block_size') AS b", { clickhouse_settings: { send_progress_in_http_headers: 1, wait_end_of_query: 1, max_threads: 1, max_block_size: '3' } })
  assert.deepEqual(got, [{ t: 1, b: 3 }])
})
await check('progress while a statement runs', async () => {
  const clickhouse_settings = { send_progress_in_http_headers: 1, http_headers_progress_interval_ms: '50', max_block_size: '1' }
  const r = await c.query({ query: 'SELECT sum(sleepEachRow(0.01)) AS s, count() AS n FROM numbers(100)', format: 'JSON', clickhouse_settings })
  assert.ok(String(r.response_headers['x-clickhouse-progress']).split('read_rows').length > 3, 'several reports')
  assert.equal(Number((await r.json()).data[0].n), 100)
})
await check('an error has code, type and query id', async () => {
  await assert.rejects(rows(c, 'SELECT * FROM nothing'), (e) => e.code === '60' && e.type === 'UNKNOWN_TABLE')
  await assert.rejects(rows(c, 'SELEC 1'), (e) => e.code === '62' && e.type === 'SYNTAX_ERROR')
  await assert.rejects(rows(c, 'SELECT 1', { clickhouse_settings: { nothing_like_it: 1 } }), (e) => e.code === '115')
})
await check('an error in the middle is an error', async () => {
  await assert.rejects(async () => {
    const r = await c.query({ query: 'SELECT throwIf(number = 900000), number FROM numbers(1000000) SETTINGS max_block_size = 1000', format: 'JSONEachRow' })
    for await (const part of r.stream()) void part
  })
})
await check('a session keeps its temporary table', async () => {
  const s = open({ session_id: crypto.randomUUID() })
  await s.command({ query: 'CREATE TEMPORARY TABLE tmp (a UInt8)' })
  await s.insert({ table: 'tmp', values: [{ a: 7 }], format: 'JSONEachRow' })
  assert.deepEqual(await rows(s, 'SELECT a FROM tmp'), [{ a: 7 }])
  await s.close()
  await assert.rejects(rows(c, 'SELECT a FROM tmp'))
})
await check('query ids are echoed', async () => {
  const r = await c.query({ query: 'SELECT 1', format: 'JSONEachRow', query_id: 'my-id-1' })
  assert.equal(r.query_id, 'my-id-1')
  await r.text()
})
await check('an abort ends a query', async () => {
  const stop = new AbortController()
  setTimeout(() => stop.abort(), 200)
  await assert.rejects(c.query({ query: 'SELECT count(), 4711 FROM numbers(1000000000000)', format: 'JSON', abort_signal: stop.signal }))
})
for (const table of ['settings', 'databases', 'tables', 'columns', 'functions', 'processes', 'parts', 'merges', 'metrics', 'events', 'formats', 'data_type_families', 'server_settings', 'clusters', 'one', 'build_options', 'time_zones', 'collations', 'table_functions', 'contributors', 'disks', 'mutations']) {
  await check(`system.${table}`, async () => { await rows(c, `SELECT * FROM system.${table} LIMIT 5`) })
}
await c.close()
process.exit(failed ? 1 : 0)
