"""What makes the audit trail trustworthy: signed, verified, sent on, and kept long enough."""
