"""What an operator does with workers: the ``nanoclaw workers`` commands and the files they show."""
