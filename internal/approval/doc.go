// Package approval keeps requests to people and their votes.
//
// A vote is stored, with its ledger entry, before anything else happens: the API
// answers once it is on disk, and the workflow is woken afterwards. The time at
// which it was received decides against a deadline, and the votes that are stored
// decide the request, whoever asks. So a message to the workflow that was lost,
// doubled or forged changes nothing.
//
// A request ends once, in the transaction of Decide, which locks it as Vote does:
// so there is no vote that was taken and did not count, though the clocks of the
// run and of the API differ.
//
// A request goes up a chain of levels. Level i opens when the time of those
// before it is over; who was entitled earlier stays so. The requester never
// votes on an approval. One denial decides; approvals decide at the quorum.
// A request whose last level has no time limit stays open until it is decided.
//
// Beside voting, people comment on a request, hand it over to others, and take it
// back. An affected person whom a run asks answers questions only.
package approval
