"""What people do when something is wrong: walking a runbook with a person, and what comes after."""
