package main

import (
	"github.com/quell-soar/quell/connectors/asset"
	"github.com/quell-soar/quell/connectors/crowdstrike"
	"github.com/quell-soar/quell/connectors/entra"
	"github.com/quell-soar/quell/connectors/jira"
	"github.com/quell-soar/quell/connectors/labdata"
	"github.com/quell-soar/quell/connectors/okta"
	"github.com/quell-soar/quell/connectors/panos"
	"github.com/quell-soar/quell/connectors/sdk"
	"github.com/quell-soar/quell/connectors/slack"
	"github.com/quell-soar/quell/connectors/smtp"
	"github.com/quell-soar/quell/connectors/splunk"
	"github.com/quell-soar/quell/connectors/virustotal"
)

func main() {
	sdk.Serve(
		asset.New(), crowdstrike.New(), entra.New(), jira.New(), labdata.New(), okta.New(),
		panos.New(), slack.New(), smtp.New(), splunk.New(), virustotal.New(),
	)
}
