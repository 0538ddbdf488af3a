"""The Graph hosts as an agent's ``curl`` sees them: reading passes, posting goes to the publication machine."""
