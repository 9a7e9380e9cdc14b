// Package intake holds the rules that everything recorded keeps, whichever door
// it comes by: how far its time may be from the server's clock, how many items a
// request may bring, what a state event must say, and how fast a tenant and a key
// may send.
//
// The doors (ingest's HTTP and MQTT, the API's routes for recording by hand) read
// their own forms; what they then hold an item to is here and nowhere else, so
// that a reading one door refuses is refused by the other with the same rule.
//
// Limits. Quotas are counted in each process: behind a balancer, and between the
// API and ingest, a tenant has its quota at each.
package intake
