"""The report on lost context: `desk` makes it, at the times that `schedule` says, and sees its findings through."""
