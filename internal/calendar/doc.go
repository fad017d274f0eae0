// Package calendar says when people are there: business hours with holidays, and
// whose turn it is in a rotation. It is pure: it reads neither clock nor file.
//
// A calendar has a digest over what it says. A run keeps the calendars that it
// was claimed with, so that an edited one counts from the next run on.
//
// Hours are local times of a named zone. The zone's rules come with the program,
// so that two machines agree; they are read in activities and never in workflow
// code, whose answers must stay the same when the rules change.
package calendar
