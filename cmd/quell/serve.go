package main

import "github.com/quell-soar/quell/internal/app"

// program is the command line with the server that this build has.
func program() app.Program { return app.Program{Version: version} }
