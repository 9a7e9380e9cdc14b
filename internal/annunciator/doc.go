// Package annunciator keeps alarms in step with the stream: it reads the findings
// of limits from foodflow.anomalies.v1 and the states of lines from
// foodflow.line-events.v1, and tells the tenant's alarms.
//
// Promises. A limit that is passed raises its alarm, one that is kept again
// clears it, once each, however often a record is read or repeated, and whatever the
// device's clock shows: a repetition is told by where the reading lies on Kafka. An
// alarm ends with the change that moves its sensor to another line, takes its limit
// off or deletes the sensor (package masterdata); what was found before that and
// comes later is passed over, and what holds afterwards is said again by the
// detector at the sensor's next reading. A line that is being
// cleaned or maintained suppresses the alarms of its sensors by design, and shows
// them when it is done. Findings that were learnt are advisory and raise no
// alarm.
//
// What a poll says of a tenant is told in one transaction, so that a tenant whose
// sensors flap doesn't hold up the alarms of others. An alarm that comes and goes more
// than ten times a minute is followed and counted each time, and not told each time
// (alarm.Chatter): the event of the next transition that is told, or of a minute later,
// says in its data how many were folded. Until then the last that was told is that the
// alarm was raised.
//
// Limits. The two topics are read side by side: an alarm that is raised in the
// moment in which its line enters cleaning can show for as long as the reader of
// the one is ahead of the other's. An alarm whose limit is moved away from the value
// ends with the sensor's next reading. Findings of processors from before schema
// version 3 name no place; of them repetitions are told by the device's time.
//
// Of the states that a line goes through between two words of its sensors in one
// poll, its alarms are told the last. Where an alarm that chatters ends, that is told
// up to two minutes late.
//
// What the store said of lines is let go of when partitions move: another process
// has told it more in between.
//
// Failure. As package follow says; what concerns a sensor or line that is gone is
// refused, and so passed over.
package annunciator
