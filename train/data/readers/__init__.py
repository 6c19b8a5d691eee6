"""From the folder of a public or own data set to its samples: a module each."""
