"""Statements of inbox, outbox and marks: functions over a connection, each one unit of work or part of one."""
