import java.math.BigDecimal;
import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Timestamp;
import java.time.Instant;
import java.util.Properties;
import java.util.UUID;

/**
 * Drives the engine with ClickHouse's official JDBC driver, as BI tools do.
 * Arguments: host:port and database; prints one line a check, exits 1 when one failed.
 */
public final class Check {
    interface Body { void run() throws Exception; }

    static int failed;

    static void check(String name, Body body) {
        try {
            body.run();
            System.out.println("ok " + name);
        } catch (Throwable e) {
            failed++;
            System.out.println("FAIL " + name + ": " + e);
            e.printStackTrace(System.out);
        }
    }

    static void want(Object got, Object want) {
        if (!want.equals(got)) throw new AssertionError("got " + got + ", want " + want);
    }

    static Connection open(String where, String... more) throws SQLException {
        Properties p = new Properties();
        for (int i = 0; i < more.length; i += 2) p.setProperty(more[i], more[i + 1]);
        return DriverManager.getConnection("jdbc:clickhouse://" + where, p);
    }

    static long one(Statement s, String query) throws SQLException {
        try (ResultSet r = s.executeQuery(query)) {
            r.next();
            return r.getLong(1);
        }
    }

    public static void main(String[] args) throws Exception {
        String where = args[0] + "/" + args[1];
        for (String compress : new String[] {"true", "false"}) {
            try (Connection c = open(where, "compress", compress, "decompress", compress); Statement s = c.createStatement()) {
                body(c, s, " compress=" + compress);
            }
        }
        try (Connection c = open(where); Statement s = c.createStatement()) {
            metadata(c, s, args[1]);
        }
        System.exit(failed == 0 ? 0 : 1);
    }

    static void body(Connection c, Statement s, String how) {
        check("valid" + how, () -> want(c.isValid(5), true));
        check("prepared select" + how, () -> {
            try (PreparedStatement p = c.prepareStatement("SELECT ? + 1, ?, toUUID(?)")) {
                UUID id = UUID.randomUUID();
                p.setLong(1, 41);
                p.setString(2, "it's\té");
                p.setString(3, id.toString());
                try (ResultSet r = p.executeQuery()) {
                    r.next();
                    want(r.getLong(1), 42L);
                    want(r.getString(2), "it's\té");
                    want(r.getObject(3), id);
                }
            }
        });
        check("batch insert and types" + how, () -> {
            s.execute("CREATE OR REPLACE TABLE jv (id UUID, ts DateTime64(3, 'UTC'), v Float64, n Nullable(Int64), q Enum8('good' = 0, 'bad' = 2), "
                + "l LowCardinality(String), a Array(String), x Decimal(18, 4)) ENGINE = MergeTree ORDER BY ts");
            Instant ts = Instant.parse("2026-01-02T03:04:05.678Z");
            try (PreparedStatement p = c.prepareStatement("INSERT INTO jv (id, ts, v, n, q, l, a, x) VALUES (?, ?, ?, ?, ?, ?, ?, ?)")) {
                for (int i = 0; i < 1000; i++) {
                    p.setObject(1, UUID.randomUUID());
                    p.setObject(2, ts.plusSeconds(i));
                    p.setDouble(3, i);
                    p.setNull(4, java.sql.Types.BIGINT);
                    p.setString(5, "bad");
                    p.setString(6, "x");
                    p.setArray(7, c.createArrayOf("String", new String[] {"a", "b"}));
                    p.setBigDecimal(8, new BigDecimal("3.14"));
                    p.addBatch();
                }
                p.executeBatch();
            }
            try (ResultSet r = s.executeQuery("SELECT count() AS rn, sum(v) AS rv, min(ts) AS rts, any(q) AS rq, any(a) AS ra, any(x) AS rx, max(n) AS nothing FROM jv")) {
                r.next();
                want(r.getLong("rn"), 1000L);
                want(r.getDouble("rv"), 499500.0);
                want(r.getObject("rts", java.time.OffsetDateTime.class).toInstant(), ts);
                want(r.getString("rq"), "bad");
                want(((Object[]) r.getArray("ra").getArray()).length, 2);
                want(r.getBigDecimal("rx").doubleValue(), 3.14);
                want(r.getObject("nothing") == null && r.wasNull(), true);
            }
        });
        check("a large answer" + how, () -> {
            long n = 0;
            try (ResultSet r = s.executeQuery("SELECT number, toString(number) FROM system.numbers LIMIT 500000")) {
                while (r.next()) n += r.getLong(1) >= 0 ? 1 : 0;
            }
            want(n, 500000L);
        });
        check("errors carry their code" + how, () -> {
            String[][] cases = {{"SELECT * FROM nothing", "60"}, {"SELECT nothing", "47"}};
            for (String[] k : cases) {
                try {
                    s.executeQuery(k[0]);
                } catch (SQLException e) {
                    want(e.getErrorCode() == Integer.parseInt(k[1]) || e.getMessage().contains("Code: " + k[1]), true);
                    continue;
                }
                throw new AssertionError(k[0] + " was answered");
            }
        });
        check("update counts" + how, () -> want(s.executeUpdate("INSERT INTO jv (v) VALUES (1), (2)") >= 0, true));
    }

    static void metadata(Connection c, Statement s, String database) {
        check("metadata", () -> {
            DatabaseMetaData m = c.getMetaData();
            want(m.getDatabaseProductName(), "ClickHouse");
            want(m.getDatabaseMajorVersion() >= 26, true);
            try (ResultSet r = m.getSchemas()) { want(r.next(), true); }
            try (ResultSet r = m.getTables(null, database, "jv", null)) { want(r.next(), true); }
            int n = 0;
            try (ResultSet r = m.getColumns(null, database, "jv", null)) { while (r.next()) n++; }
            want(n, 8);
            try (ResultSet r = m.getTypeInfo()) { want(r.next(), true); }
            try (ResultSet r = m.getFunctions(null, null, "%")) { want(r.next(), true); }
            try (ResultSet r = s.executeQuery("SELECT toUInt8(1) AS a, 'x' AS b")) { want(r.getMetaData().getColumnCount(), 2); }
        });
        for (String t : new String[] {"settings", "databases", "tables", "columns", "functions", "processes", "parts", "formats"}) {
            check("system." + t, () -> want(one(s, "SELECT count() FROM system." + t) >= 0, true));
        }
        check("SHOW, DESCRIBE, EXPLAIN", () -> {
            for (String q : new String[] {"SHOW TABLES", "DESCRIBE TABLE jv", "EXPLAIN SELECT 1", "SHOW CREATE TABLE jv"}) {
                try (ResultSet r = s.executeQuery(q)) { want(r.next(), true); }
            }
        });
        check("cancel", () -> {
            Thread later = new Thread(() -> {
                try {
                    Thread.sleep(1000);
                    s.cancel();
                } catch (Exception e) {
                    e.printStackTrace(System.out);
                }
            });
            later.start();
            try {
                s.executeQuery("SELECT count() FROM numbers(1000000000000)");
            } catch (SQLException e) {
                later.join();
                want(e.getMessage().contains("394") || e.getMessage().contains("cancelled"), true);
                return;
            }
            throw new AssertionError("it ran to its end");
        });
        check("a query time limit", () -> {
            try {
                s.executeQuery("SELECT count() FROM numbers(1000000000000) SETTINGS max_execution_time = 1");
            } catch (SQLException e) {
                return;
            }
            throw new AssertionError("it ran on");
        });
    }
}
