// Package letter gives dead letters another chance, once each: it knows what
// became of every letter, and replays those that wait.
//
// # Marks
//
// What became of a letter stands behind it on foodflow.dead-letters.v1, as
// records with the letter's id and a mark (schema dead_letter, version 2): a
// replay claims a letter, publishes what it holds, and marks it as replayed. The
// topic has one partition, so the marks of a letter have an order, and each
// reader comes to the same end (Book): of two replays at once one has the claim,
// and the other passes the letter over. Marks come behind their letter in the
// same partition, so retention never removes a mark before its letter. A record
// that is replayed and refused again lies at another offset, so it is another
// letter, of which no mark says anything.
//
// # Crashes
//
// A replay that ends between claim and mark leaves its letters in doubt. A claim
// holds for its lease, by the brokers' clocks alone: each record that is
// published under it carries its end (Origin), and the processors pass over what
// was stored later. Half a lease behind that end another replay may follow the
// claim; it then reads what was stored on the letter's topic since, publishes
// only what is missing, and marks the letter. So a replay may be killed, frozen
// or started twice at any place, and each item counts once.
//
// # Limits
//
// Half a lease is what the brokers' clocks may differ by, and what a replay may
// need from its claim to Kafka's answer; slower ones leave the letter in doubt.
// Where retention has removed records that were stored since the claim (readings
// go after 7 days, letters after 90), it can't be told any more whether the
// letter was published: it stays in doubt until someone replays it with Again.
// An Again that was answered counts again, which is what it is for.
//
// # Why not a transaction
//
// One Kafka transaction for publication and mark would say the same in fewer
// words. But a transaction that its producer left open holds up every reader of
// those partitions until it times out, and the markers at its end take offsets
// that nobody reads, for which everything that waits for the end of a partition
// would have to look. An operator's command must not slow down the plant.
package letter
