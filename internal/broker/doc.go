// Package broker knows Kafka as FoodFlow uses it: how clients connect, and
// which topics there are with how many partitions and which retention.
//
// Every topic stamps its records with the broker's time (LogAppendTime), so
// that neither retention nor lag ever follows a device's clock.
package broker
