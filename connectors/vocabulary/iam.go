package vocabulary

import (
	"slices"
	"time"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
)

// readDeadline is for reads that take several requests to the vendor.
const readDeadline = 30 * time.Second

func userInput() kind.Field {
	return field("user", kind.HandleOf("user"), "the account, as iam.find_user returned it")
}

// iam are the actions on accounts.
func iam() []spec.Action {
	return slices.Concat(accounts(), credentials(), consents(), groups())
}

func accounts() []spec.Action {
	user := userInput()
	enabled := field("enabled", kind.Of(kind.Boolean), "whether one can sign in with it")
	return []spec.Action{
		{
			Name: "iam.find_user", Title: "Find an account",
			Doc: "Finds the one account of that name or mail address; exactly one of the two is given. None is not_found, several are ambiguous; none is picked.",
			Inputs: []kind.Field{
				optional("name", kind.Of(kind.Username), "the name to sign in with; upper and lower case are the same"),
				optional("mail", kind.Of(kind.Email), "one of its mail addresses"),
			},
			Outputs: []kind.Field{
				field("user", kind.HandleOf("user"), "what the other iam and mail actions take"),
				text("name", "the name to sign in with, as the vendor has it"),
				optional("mail", kind.Of(kind.Email), "its first mail address"),
				optional("display_name", kind.Of(kind.String), "what people see; its owner may have chosen it"),
				enabled,
				field("privileged", kind.Of(kind.Boolean), "whether it has a role that administers others"),
				field("last_admin", kind.Of(kind.Boolean), "whether no other account that can sign in has the highest role"),
				field("mfa_registered", kind.Of(kind.Boolean), "whether a second factor is registered"),
				field("password_changed", kind.Of(kind.Timestamp), "when its password was last set; when it was made, where it never was"),
				field("synced", kind.Of(kind.Boolean), "whether another directory is its master, so that changes must be made there"),
			},
			Class: spec.Read, Deadline: quickDeadline, Quick: true,
			Tags: []string{"react.RA2602", "openc2.query.x-quell:account"},
		},
		{
			Name: "iam.disable_user", Title: "Disable an account",
			Doc:     "Keeps anyone from signing in with the account. What is signed in stays so: see iam.revoke_sessions.",
			Inputs:  []kind.Field{user},
			Outputs: []kind.Field{enabled},
			Class:   spec.Idempotent, ReadBack: spec.Strong, Settle: effectSettle, Deadline: effectDeadline,
			Reversal: spec.Exact, Inverse: "iam.enable_user", Targets: "user",
			Tags: []string{"react.RA3601", "d3fend.D3-AL", "openc2.contain.x-quell:account"},
		},
		{
			Name: "iam.enable_user", Title: "Enable an account",
			Doc:     "Lets its owner sign in again. As an undo it leaves an account disabled that was so before.",
			Inputs:  []kind.Field{user},
			Outputs: []kind.Field{enabled},
			Class:   spec.Idempotent, ReadBack: spec.Strong, Settle: effectSettle, Deadline: effectDeadline,
			Reversal: spec.Exact, Inverse: "iam.disable_user", Targets: "user",
			Tags: []string{"react.RA5601", "d3fend.D3-RUAA", "openc2.allow.x-quell:account"},
		},
	}
}

func credentials() []spec.Action {
	user := userInput()
	return []spec.Action{
		{
			Name: "iam.revoke_sessions", Title: "End an account's sessions",
			Doc:    "Ends what is signed in with the account. Tokens that were given out already may live on for as long as the vendor's services accept them.",
			Inputs: []kind.Field{user},
			Outputs: []kind.Field{
				field("revoked_at", kind.Of(kind.Timestamp), "sessions that began before are over"),
			},
			// Twice is harmless. That it happened is seen by a time that moved, and
			// only by who knows where it stood: absent proves nothing.
			Class: spec.Idempotent, ReadBack: spec.Lagging, Settle: effectSettle, Deadline: effectDeadline,
			Reversal: spec.Irreversible, Targets: "user",
			Tags: []string{"react.~RA4601", "d3fend.D3-ST", "openc2.cancel.x-quell:session"},
		},
		{
			Name: "iam.reset_password", Title: "Reset a password",
			Doc: "Sets a new random password that must be changed at the next sign-in, and delivers it. No value of a playbook ever holds it.",
			Inputs: []kind.Field{
				user,
				field("deliver", Delivery(), "who gets the new secret: the user's manager, the user by another address, or nobody, where the user sets one by self-service"),
			},
			Outputs: []kind.Field{
				field("changed", kind.Of(kind.Timestamp), "when the vendor says that it was set"),
				optional("delivered_to", kind.Of(kind.String), "where the new secret was sent"),
			},
			// Each call makes another password. A change is seen by a time that
			// moved: absent proves nothing to who does not know where it stood.
			Class: spec.Once, ReadBack: spec.Lagging, Settle: effectSettle, Deadline: effectDeadline,
			Reversal: spec.Irreversible, Targets: "user",
			Tags: []string{"react.~RA4601", "d3fend.D3-CRO", "openc2.set.x-quell:credential"},
		},
		{
			Name: "iam.reset_mfa", Title: "Remove an account's second factors",
			Doc:    "Removes every registered second factor, an attacker's too. The user registers anew.",
			Inputs: []kind.Field{user},
			Outputs: []kind.Field{
				field("removed", kind.ListOf(kind.Of(kind.String)), "the kinds of factor that were removed"),
			},
			Class: spec.Idempotent, ReadBack: spec.Strong, Settle: effectSettle, Deadline: effectDeadline,
			Reversal: spec.Irreversible, Targets: "user",
			Tags: []string{"react.~RA4601", "d3fend.~D3-CR", "openc2.delete.x-quell:credential"},
		},
	}
}

// The ways in which a new password reaches a person.
const (
	DeliverManager = "manager"
	DeliverUser    = "user"
	DeliverNobody  = "nobody"
)

// Delivery is the type of the input deliver of iam.reset_password.
func Delivery() kind.Type { return kind.ChoiceOf(DeliverManager, DeliverUser, DeliverNobody) }

func consents() []spec.Action {
	return []spec.Action{
		{
			Name: "iam.list_consents", Title: "List what applications may do for an account",
			Doc:     "Reads what the account let applications do in its name. Expressions may read of each consent: app, scopes, granted, dated.",
			Inputs:  []kind.Field{userInput()},
			Outputs: []kind.Field{field("consents", kind.ListOf(kind.HandleOf("consent")), "each application with what it may do")},
			Class:   spec.Read, Deadline: readDeadline,
			Tags: []string{"openc2.query.x-quell:credential"},
		},
		{
			Name: "iam.revoke_consent", Title: "Revoke an application's consent",
			Doc:     "Takes from one application what the account let it do.",
			Inputs:  []kind.Field{field("consent", kind.HandleOf("consent"), "the consent, as iam.list_consents returned it")},
			Outputs: []kind.Field{field("revoked", kind.Of(kind.Boolean), "that it is gone")},
			Class:   spec.Idempotent, ReadBack: spec.Strong, Settle: effectSettle, Deadline: effectDeadline,
			Reversal: spec.Irreversible, Targets: "consent",
			Tags: []string{"react.~RA4601", "d3fend.D3-CR", "openc2.deny.x-quell:credential"},
		},
	}
}

func groups() []spec.Action {
	in := []kind.Field{userInput(), text("group", "the group's id, or its name where no other group has it")}
	out := []kind.Field{field("member", kind.Of(kind.Boolean), "whether the account is in the group")}
	return []spec.Action{
		{
			Name: "iam.add_group_member", Title: "Put an account into a group",
			Doc:    "Makes the account a direct member. As an undo it leaves an account out that was not in before.",
			Inputs: in, Outputs: out,
			Class: spec.Idempotent, ReadBack: spec.Strong, Settle: effectSettle, Deadline: effectDeadline,
			Reversal: spec.Exact, Inverse: "iam.remove_group_member", Targets: "user",
			Tags: []string{"d3fend.D3-RUAA", "openc2.create.x-quell:membership"},
		},
		{
			Name: "iam.remove_group_member", Title: "Take an account out of a group",
			Doc:    "Ends a direct membership. As an undo it leaves an account in that was in before.",
			Inputs: in, Outputs: out,
			Class: spec.Idempotent, ReadBack: spec.Strong, Settle: effectSettle, Deadline: effectDeadline,
			Reversal: spec.Exact, Inverse: "iam.add_group_member", Targets: "user",
			Tags: []string{"react.~RA3601", "d3fend.~D3-AL", "openc2.delete.x-quell:membership"},
		},
	}
}
