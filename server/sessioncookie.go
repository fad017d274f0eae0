package server

// sessionCookie is the name of a session's cookie. The prefix makes browsers
// demand that it is Secure, of this host alone and of every path.
const sessionCookie = "__Host-quell"
