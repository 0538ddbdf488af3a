"""What tests of several packages share: contract suites and stand-ins that keep a contract."""
