package app

import (
	"github.com/spf13/cobra"

	"github.com/quell-soar/quell/connectors/vocabulary"
	"github.com/quell-soar/quell/playbooks/schema"
)

func (c *cli) schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use: "schema", Short: "Print the language as JSON Schema",
		Long: "Print the JSON Schema (2020-12) of playbooks with the inputs of the generic actions.\n" +
			"An editor that has a YAML language server completes and checks playbooks that begin\n" +
			"with the line\n\n    # yaml-language-server: $schema=playbook.schema.json",
		Args: exactly(),
		RunE: func(*cobra.Command, []string) error {
			raw, err := schema.Playbook(vocabulary.All())
			if err != nil {
				return err
			}
			_, err = c.out.Write(raw)
			return err
		},
	}
}
