"""One module per subcommand: ``run(options) -> exit code``."""
