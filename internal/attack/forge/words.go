package forge

// Words are secrets that people leave in code, examples and defaults. A secret of a generator is in no such list.
func Words(more ...string) []string {
	out := append([]string{""}, words...)
	return append(out, more...)
}

var words = []string{
	"secret", "secret1", "secret12", "secret123", "secret1234", "secret!", "Secret", "SECRET", "secretkey", "secret-key", "secret_key", "SECRET_KEY", "secretKey", "my-secret", "my_secret", "mysecret", "mysecretkey",
	"my-secret-key", "my_secret_key", "supersecret", "super-secret", "super_secret", "super-secret-key", "supersecretkey", "topsecret", "top-secret",
	"s3cr3t", "s3cret", "shhhh", "shhhhh", "shhhhhared-secret", "shared-secret", "jwt", "jwtsecret", "jwt-secret", "jwt_secret", "JWT_SECRET", "jwt_secret_key",
	"jwtSecret", "jwt-key", "jwtkey", "jwttoken", "token", "tokensecret", "token-secret", "token_secret", "access", "access-secret", "accesstoken",
	"access_token_secret", "refresh", "key", "mykey", "my-key", "privatekey", "private-key", "private_key", "private", "publickey", "signingkey",
	"signing-key", "sign", "signature", "hmac", "hmackey", "hmac-key", "hs256", "HS256", "your-256-bit-secret", "your-384-bit-secret", "your-512-bit-secret",
	"your-secret", "your_secret", "your-secret-key", "your_secret_key", "your-jwt-secret", "your_jwt_secret", "yoursecret", "yoursecretkey",
	"a-string-secret-at-least-256-bits-long", "a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long", "change-me", "changeme",
	"change_me", "changeit", "changethis", "change-this", "change-this-secret", "replace-me", "replaceme", "default", "defaultsecret", "example",
	"examplesecret", "sample", "demo", "test", "testing", "test123", "testsecret", "test-secret", "test_secret", "testkey", "dev", "devsecret",
	"dev-secret", "development", "local", "localhost", "prod", "production", "staging", "admin", "admin123", "administrator", "root", "toor", "guest",
	"user", "username", "password", "Password", "password1", "password123", "passw0rd", "p@ssw0rd", "P@ssw0rd", "passphrase", "pass", "letmein",
	"welcome", "qwerty", "qwerty123", "qwertyuiop", "abc123", "abcdef", "abcd1234", "123", "1234", "12345", "123456", "1234567", "12345678",
	"123456789", "1234567890", "0123456789", "000000", "111111", "654321", "iloveyou", "monkey", "dragon", "sunshine", "master", "hello", "helloworld",
	"hello-world", "foobar", "foo", "bar", "null", "undefined", "none", "nil", "true", "false", "todo", "fixme", "xxx", "xxxx", "api", "apikey",
	"api-key", "api_key", "apisecret", "api-secret", "api_secret", "app", "appsecret", "app-secret", "app_secret", "application", "auth", "authsecret",
	"auth-secret", "auth_secret", "authentication", "oauth", "session", "sessionsecret", "session-secret", "session_secret", "cookie", "cookiesecret",
	"keyboard cat", "keyboardcat", "node", "nodejs", "express", "django", "django-insecure", "flask", "flask-secret", "fastapi", "laravel", "rails",
	"spring", "springboot", "golang", "gin", "python", "java", "ruby", "server", "backend", "company", "service", "gateway", "internal",
	"09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7", "AllYourBase", "qwerty-secret", "notasecret", "not-a-secret", "insecure",
	"insecure-secret", "unsafe", "thisisasecret", "this-is-a-secret", "this_is_a_secret", "thisismysecret", "this is my secret", "ThisIsASecretKey",
	"verysecret", "very-secret", "verysecretkey", "very_secret_key", "ultrasecret", "hush", "opensesame", "open-sesame", "swordfish",
}
