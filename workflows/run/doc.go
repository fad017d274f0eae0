// Package run is what everyone who speaks of a run must agree on: workflow
// inputs, the grammar of ids and effect keys, the names and bodies of Updates
// and Queries, the task queue. It is a leaf: the API server, the dispatcher and
// the interpreter import it, and it imports only contracts.
//
// # Ids
//
//	run       PLAYBOOK/HASH/GENERATION          contain-infected-host/3fa9…/2
//	by hand   PLAYBOOK/m-RANDOM/1
//	called    PLAYBOOK/c-HASH/GENERATION         HASH over caller, step and iteration
//	undo      undo/RUN/N
//	hold      hold/EFFECT KEY
//	schedule  schedule/PLAYBOOK/N
//	firing    SCHEDULE-NOMINAL TIME
//	effect    TENANT|RUN|STEP PATH|ITERATION|do or undo|GENERATION
//	request   RUN#STEP PATH#ITERATION#N, of a hold: HOLD@UNIX SECONDS
//
// HASH is the first 24 hex digits of the SHA-256 over tenant, playbook and the
// canonical once_per value. Neither an attempt number nor Temporal's own run id
// ever stands in an effect key: both change when a crash makes us try again.
package run
