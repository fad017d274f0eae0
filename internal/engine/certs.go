package engine

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"time"

	"go.temporal.io/server/common/rpc/encryption"
)

// serverName is the one name in the certificate; it never leaves the process.
const serverName = "engine.quell.invalid"

// memoryTLS is an encryption.TLSConfigProvider whose authority and key live in
// memory only: made at start, never written, gone with the process.
type memoryTLS struct {
	cert tls.Certificate
	pool *x509.CertPool
}

var _ encryption.TLSConfigProvider = (*memoryTLS)(nil)

// newMemoryTLS makes an authority and one certificate that serves as server and
// client. The authority's key is dropped at once, so no second certificate can
// ever be made.
func newMemoryTLS() (*memoryTLS, error) {
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("engine: make authority: %w", err)
	}
	now := time.Now()
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Quell engine"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(10, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	if err != nil {
		return nil, fmt.Errorf("engine: make authority: %w", err)
	}
	root, err := x509.ParseCertificate(caDER)
	if err != nil {
		return nil, fmt.Errorf("engine: make authority: %w", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("engine: make certificate: %w", err)
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "Quell"},
		NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
		DNSNames: []string{serverName}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, root, &key.PublicKey, caKey)
	if err != nil {
		return nil, fmt.Errorf("engine: make certificate: %w", err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(root)
	return &memoryTLS{cert: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool: pool}, nil
}

func (m *memoryTLS) server() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{m.cert},
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: m.pool,
	}
}

func (m *memoryTLS) client() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{m.cert},
		RootCAs: m.pool, ServerName: serverName,
	}
}

func (m *memoryTLS) GetInternodeServerConfig() (*tls.Config, error) { return m.server(), nil }
func (m *memoryTLS) GetInternodeClientConfig() (*tls.Config, error) { return m.client(), nil }
func (m *memoryTLS) GetFrontendServerConfig() (*tls.Config, error)  { return m.server(), nil }
func (m *memoryTLS) GetFrontendClientConfig() (*tls.Config, error)  { return m.client(), nil }

// GetRemoteClusterClientConfig is asked for by replication only, which the
// embedded server does not do.
func (m *memoryTLS) GetRemoteClusterClientConfig(string) (*tls.Config, error) {
	return m.client(), nil
}

// GetExpiringCerts reports none: the certificates outlive the process.
func (m *memoryTLS) GetExpiringCerts(time.Duration) (expiring, expired encryption.CertExpirationMap, err error) {
	return nil, nil, nil
}
