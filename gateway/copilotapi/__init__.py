"""``clawgate copilot-api``: the model API alone, for those who want a drop-in for copilot-api and no assistant."""
