"""One module per background activity, and what runs them: dispatcher, runner, beat."""
