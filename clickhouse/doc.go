// Package clickhouse knows how FoodFlow reaches ClickHouse: a server or cluster
// by address, or the embedded engine; both speak the HTTP interface.
//
// Statements go through Client, which returns ClickHouse's exceptions as
// *Exception; the read models in query use clickhouse-go on the same addresses.
package clickhouse
