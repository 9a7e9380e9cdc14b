// Command foodflow is every role of FoodFlow: foodflow up runs them all on one
// machine with embedded engines, each other command runs one of them against
// given addresses. foodflow --help lists them.
package main
